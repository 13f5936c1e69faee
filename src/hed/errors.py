"""The one kind of error that is the user's to mend."""


class InputError(ValueError):
    """A mistake in what the user gave; its text is one sentence that says what to do."""
