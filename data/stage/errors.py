"""The one exception that is meant for the user."""


class UserError(ValueError):
    """Say in one line what is wrong, what is allowed and how to mend it.

    Stages print the message without a traceback and exit with status 2. Everything else that is
    raised is a fault of the project and keeps its traceback.
    """
