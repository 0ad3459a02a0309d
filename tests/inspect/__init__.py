"""The inspector of the code cache."""
