"""The debugger: stopping, stepping and looking at programs while they run."""
