"""A labelled set of small trainings: one planted fault each, and as many healthy ones of many kinds."""
