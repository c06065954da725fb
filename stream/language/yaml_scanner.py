"""PyYAML's scanner, which forbids tabs altogether, with tabs allowed where YAML and JSON do: not as indentation."""

from __future__ import annotations

import yaml

_BREAKS = "\r\n\x85\u2028\u2029"
_AFTER_MARKER = "\0 \t" + _BREAKS


class TabScanner(yaml.SafeLoader):
    """A loader of which only the events are used."""

    def scan_to_next_token(self) -> None:
        """Skip blanks, comments and line breaks; tabs too, but where they would indent a block."""
        allows_tabs = self.flow_level > 0 or self.column > 0
        while True:
            while self.peek() == " " or (allows_tabs and self.peek() == "\t"):
                self.forward()
            if self.peek() == "#":
                while self.peek() not in "\0" + _BREAKS:
                    self.forward()
            if not self.scan_line_break():  # type: ignore[no-untyped-call]
                return
            if self.flow_level == 0:
                self.allow_simple_key = True
                allows_tabs = False

    def scan_plain_spaces(self, indent: int, start_mark: object) -> list[str] | None:
        """The blanks within plain text, folded; None at the end of a document, nothing where the text ends."""
        length = 0
        while self.peek(length) in (" ", "\t"):
            length += 1
        blanks = self.prefix(length)
        self.forward(length)
        if self.peek() not in _BREAKS:
            return [blanks] if blanks else []
        line_break = self.scan_line_break()  # type: ignore[no-untyped-call]
        self.allow_simple_key = True
        breaks: list[str] = []
        while True:
            if self.column == 0 and self.prefix(3) in ("---", "...") and self.peek(3) in _AFTER_MARKER:
                return None
            if self.peek() == " " or (self.peek() == "\t" and (self.flow_level > 0 or self.column >= indent)):
                self.forward()
            elif self.peek() in _BREAKS:
                breaks.append(self.scan_line_break())  # type: ignore[no-untyped-call]
            else:
                break
        if line_break != "\n":
            return [line_break, *breaks]
        return breaks or [" "]
