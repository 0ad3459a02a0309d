"""A dynamic recompiler for small guest CPUs."""
