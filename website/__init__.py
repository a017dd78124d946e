"""What turns the book into a website: a Sphinx extension and what its pages load."""
