"""Running a script so that its imports of the original packages find the shims."""
