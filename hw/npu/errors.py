"""The one exception for everything that a user can cause.

It lives on the ground floor so that every room can raise it. The command line turns it into one
line and exit code 2; every other exception is a defect of Weft and may crash loudly.
"""


class WeftError(Exception):
    """A mistake that the user can mend.

    Parameters
    ----------
    message : str
        One line: what is wrong, with the name and the value.
    file, layer : str, optional
        Where: printed in front of the message.
    remedy : str, optional
        What to do: printed behind it.
    """

    def __init__(self, message, *, file=None, layer=None, remedy=None):
        self.message, self.file, self.layer, self.remedy = message, file, layer, remedy
        where = [str(file)] if file else []
        if layer:
            where.append(f"layer {layer}")
        text = ": ".join([*where, message])
        super().__init__(f"{text}; {remedy}" if remedy else text)
