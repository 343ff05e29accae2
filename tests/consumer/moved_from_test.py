"""Every public member function of a handle stands in a test of moved-from objects.

Reads the public headers for the classes below, and the tests for calls of their members.
"""

import re
import sys
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
TESTS = ["tests/plugin/misuse/moved_from_test.cpp", "tests/unit/moved_from_test.cpp"]
HANDLES = {
    "buffer.hpp": ["Buffer", "ExternalReference", "RawCopy", "ControlDependency"],
    "client.hpp": ["Client", "AliasFulfillment"],
    "device.hpp": ["Device"],
    "memory.hpp": ["Memory"],
    "event.hpp": ["Event", "EventSetter"],
    "executable.hpp": ["Executable"],
    "loaded_executable.hpp": ["LoadedExecutable", "Outputs"],
    "prepared_execution.hpp": ["PreparedExecution"],
    "transfer_manager.hpp": ["TransferManager"],
    "host_buffer.hpp": ["HostBuffer", "HostView"],
}
# Makers, and what is for the library itself.
NOT_MEMBERS = {"create", "adopt", "none", "ready", "all", "state", "client_state", "record", "allocate", "zeros", "copy_of", "scalar", "from_vector",
               "borrow", "load", "parse_npy", "strided", "of", "tell", "unexpected", "copy_to_host"}


def members(header: str, name: str) -> set[str]:
    text = (ROOT / "include/pjrt" / header).read_text()
    body = re.search(rf"class (?:PJRT_EXPORT )?{name} (?:final )?\{{(.*?)\n\}};", text, re.DOTALL)[1]
    public = re.split(r"\n private:", body)[0]
    public = re.sub(r"///.*|//.*| = \{\}", "", public)
    found = re.findall(r"\b([a-z]\w+)\([^;{]*\)\s*(?:const)?\s*(?:&&|&)?\s*(?:noexcept)?\s*[;{]", public)
    return {f for f in found if not f.endswith("_")} - NOT_MEMBERS - {"requires", "if", "return", "decltype", "catching", "static_cast", "move", "swap", "get", "release",
                           "run_guarded", "address", "check_access", "check_type", "exchange", "memcpy", "checked", "taken"}


class MovedFrom(unittest.TestCase):
    def test_every_member_of_every_handle_stands_in_a_test(self):
        called = set(re.findall(r"\b(\w+)(?:<[\w:]+>)?\(", "".join((ROOT / t).read_text() for t in TESTS)))
        for header, classes in HANDLES.items():
            for name in classes:
                known = members(header, name)
                self.assertTrue(known, f"{name} has no members?")
                self.assertEqual(sorted(known - called), [], f"members of {name} that no moved-from test calls")


if __name__ == "__main__":
    sys.exit(unittest.main())
