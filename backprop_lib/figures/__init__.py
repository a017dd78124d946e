"""The book's drawings: a module for each chapter, and what they are drawn with."""
