"""The only kind of error that the user has to fix."""


class InputError(ValueError):
    """A mistake in the user's input; its text is one sentence that says what to do."""
