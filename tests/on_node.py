"""Runs a command on a stand-in node, as ssh would: on_node.py DIR [OPTION...] NODE COMMAND...

    on_node.py DIR NODE COMMAND...          join the words and run them in the node's shell
    on_node.py DIR --signal=NUMBER NODE     send a signal to all that was started on the node

Our open files, environment and working directory travel to the node's agent (agent.py), so output
costs no copying. The exit status is the command's, 128 + N if signal N ended it, and 255 if the
node cannot be reached or is lost in the meantime. Only what starts quickly is imported.
"""

import json
import os
import socket
import sys

UNREACHABLE = 255
SIGNAL = "--signal="


def main(directory: str, *words: str) -> int:
    """Send a request to a node and return the exit status."""
    # Hydra calls its launcher as it would call ssh, with options that mean nothing here (-x).
    count = next(i for i, word in enumerate(words) if not word.startswith("-"))
    node, *command = words[count:]
    request: dict[str, object] = {"cwd": os.getcwd(), "env": dict(os.environ)}
    request["argv"] = ["/bin/sh", "-c", " ".join(command)]
    for option in words[:count]:
        if option.startswith(SIGNAL):
            request = {"signal": int(option.removeprefix(SIGNAL))}
    return ask(directory, node, request)


def ask(directory: str, node: str, request: dict[str, object]) -> int:
    """Return the exit status that a node's agent answers."""
    os.chdir(directory)  # The path of a socket may have no more than 107 characters.
    with socket.socket(socket.AF_UNIX) as connection:
        try:
            connection.connect(f"{node}.sock")
            text = json.dumps(request).encode() + b"\n"
            sent = socket.send_fds(connection, [text], [0, 1, 2])
            if rest := text[sent:]:  # Even nothing cannot be sent once the node has answered.
                connection.sendall(rest)
            return int(connection.recv(16) or UNREACHABLE)
        except OSError as error:
            print(f"on-node: connect to {node}: {error.strerror}", file=sys.stderr)
            return UNREACHABLE


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
