class Steps:
    def __init__(self, task, verdicts): self.task=task; self.verdicts=verdicts
