"""A model that nobody calls, to be loaded and unloaded."""

from mlserver import MLModel


class Spare(MLModel):
    pass
