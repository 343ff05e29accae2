"""What the generator of abi/gen refuses, and what its --verify finds. Run by ctest, or `python3 tests/abi/generator_test.py`."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path
from typing import Callable
from unittest import mock

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "abi" / "gen"))
sys.dont_write_bytecode = True

from reader import BadRegistry, read_protos, read_registry  # noqa: E402

REGISTRY, OVERLAY, PROTOS = (json.loads((ROOT / "abi" / name).read_text()) for name in ("registry.json", "overlay.json",
"protos.json"))

# A struct to break: struct_size, extension_start, client, program, compile_options, compile_options_size, executable; 8 bytes each.
COMPILE = "PJRT_Client_Compile_Args"


class InFolder(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def write(self, name: str, data: object) -> Path:
        path = self.folder / name
        path.write_text(data if isinstance(data, str) else json.dumps(data))
        return path


class Refused(InFolder):
    """Edits a copy of the data and expects a refusal whose text has the place of the fault."""

    def read(self, registry: object, overlay: object = OVERLAY) -> None:
        read_registry(self.write("registry.json", registry), self.write("overlay.json", overlay))

    def assert_refused(self, edit: Callable[[dict], object], *texts: str) -> None:
        registry = copy.deepcopy(REGISTRY)
        edit(registry)
        with self.assertRaises(BadRegistry) as caught:
            self.read(registry)
        for text in texts:
            self.assertIn(text, str(caught.exception))

    def assert_overlay_refused(self, edit: Callable[[dict], object], *texts: str) -> None:
        overlay = copy.deepcopy(OVERLAY)
        edit(overlay)
        with self.assertRaises(BadRegistry) as caught:
            self.read(REGISTRY, overlay)
        for text in texts:
            self.assertIn(text, str(caught.exception))


def field(registry: dict, i: int, struct: str = COMPILE) -> dict:
    return registry["structs"][struct]["fields"][i]


class TheData(Refused):
    def test_is_accepted_as_it_stands(self):
        self.read(REGISTRY)


class Structs(Refused):
    def test_overlapping_fields(self):
        self.assert_refused(lambda r: field(r, 3).update(offset=16), f"structs.{COMPILE}.fields[3] (program).offset",
                            "16 overlaps the field before it, which ends at 24")

    def test_hole_between_fields(self):
        self.assert_refused(lambda r: field(r, 6).update(offset=56), f"structs.{COMPILE}.fields[6] (executable).offset",
                            "56 leaves a hole behind 48")

    def test_misaligned_field(self):
        self.assert_refused(lambda r: field(r, 2).update(offset=20), f"structs.{COMPILE}.fields[2] (client).offset",
                            "20 is not a multiple of 8")

    def test_size_that_is_not_that_of_the_type(self):
        self.assert_refused(lambda r: field(r, 2).update(size=4), f"structs.{COMPILE}.fields[2] (client).size",
                            "4, but PJRT_Client * has 8")

    def test_unknown_type(self):
        self.assert_refused(lambda r: field(r, 2).update(type="PJRT_Nothing *"), f"structs.{COMPILE}.fields[2] (client)",
                            "unknown type 'PJRT_Nothing'")

    def test_type_without_a_size(self):
        self.assert_refused(lambda r: field(r, 2).update(type="PJRT_Client"), f"structs.{COMPILE}.fields[2] (client)",
                            "has no size")

    def test_field_that_stands_twice(self):
        self.assert_refused(lambda r: field(r, 3).update(name="client"), f"structs.{COMPILE}.fields[3] (client)",
                            "field 'client' stands twice")

    def test_field_without_a_name(self):
        self.assert_refused(lambda r: field(r, 3).update(name=""), f"structs.{COMPILE}.fields[3]", "must be a union")

    def test_direction(self):
        self.assert_refused(lambda r: field(r, 6).update(dir="sideways"), f"structs.{COMPILE}.fields[6].dir",
                            "'sideways' is none of in, out, inout")

    def test_version_of_a_field(self):
        self.assert_refused(lambda r: field(r, 2).update(since="0.x"), f"structs.{COMPILE}.fields[2].since",
                            "'0.x' is not a version")

    def test_version_of_a_field_that_is_yet_to_come(self):
        self.assert_refused(lambda r: field(r, 2).update(since="0.999"), f"structs.{COMPILE}.fields[2]",
                            "outside the versions described")

    def test_sizeof_smaller_than_the_fields(self):
        self.assert_refused(lambda r: r["structs"][COMPILE].update(sizeof=48), f"structs.{COMPILE}.sizeof",
                            "48, but its fields end at 56")

    def test_sizeof_with_more_than_padding(self):
        self.assert_refused(lambda r: r["structs"][COMPILE].update(sizeof=64), f"structs.{COMPILE}.sizeof",
                            "64 leaves more than padding behind 56")

    def test_struct_size_larger_than_sizeof(self):
        self.assert_refused(lambda r: r["structs"][COMPILE].update(struct_size=64), f"structs.{COMPILE}.struct_size", "64")

    def test_struct_size_that_ends_within_a_field(self):
        self.assert_refused(lambda r: r["structs"][COMPILE].update(struct_size=52), f"structs.{COMPILE}.struct_size",
                            "52 is the end of none of its fields")

    def test_member_of_a_union(self):
        index = next(i for i, f in enumerate(REGISTRY["structs"]["PJRT_NamedValue"]["fields"]) if f.get("union"))
        self.assert_refused(lambda r: field(r, index, "PJRT_NamedValue")["union"][0].__setitem__(2, 3),
                            "structs.PJRT_NamedValue", "union[0]", "size 3")

    def test_size_of_a_union(self):
        index = next(i for i, f in enumerate(REGISTRY["structs"]["PJRT_NamedValue"]["fields"]) if f.get("union"))
        self.assert_refused(lambda r: field(r, index, "PJRT_NamedValue").update(size=16), "structs.PJRT_NamedValue",
                            "largest member")

    def test_struct_that_others_hold_has_another_size(self):
        self.assert_refused(lambda r: r["structs"]["PJRT_Api_Version"].update(sizeof=32), "PJRT_Api")


class Enums(Refused):
    def test_enumerator_that_stands_twice(self):
        self.assert_refused(lambda r: r["enums"]["PJRT_Error_Code"]["values"].append(["PJRT_Error_Code_OK", 99]),
                            "enums.PJRT_Error_Code", "an enumerator stands twice")

    def test_value_that_stands_twice(self):
        self.assert_refused(lambda r: r["enums"]["PJRT_Error_Code"]["values"].append(["PJRT_Error_Code_NEW", 3]),
                            "enums.PJRT_Error_Code", "two enumerators share a value")

    def test_enumerator_without_a_value(self):
        self.assert_refused(lambda r: r["enums"]["PJRT_Error_Code"]["values"].append(["PJRT_Error_Code_NEW"]),
                            "enums.PJRT_Error_Code.values[17]")


class Functions(Refused):
    def test_hole_between_slots(self):
        self.assert_refused(lambda r: r["functions"][5].update(slot=6), "functions[5]", ".slot", "6, expected 5")

    def test_offset_that_is_not_that_of_the_slot(self):
        self.assert_refused(lambda r: r["functions"][5].update(offset=88), "functions[5]", ".offset",
                            "88, but the slot in PJRT_Api is at 80")

    def test_function_that_stands_twice(self):
        self.assert_refused(lambda r: r["functions"][5].update(name=r["functions"][4]["name"]), "functions[5]", "stands twice")

    def test_function_without_a_slot(self):
        self.assert_refused(lambda r: r["functions"][5].update(name="PJRT_Nothing"), "functions[5] (PJRT_Nothing)",
                            "has no slot in PJRT_Api")

    def test_slot_without_a_function(self):
        self.assert_refused(lambda r: r["functions"].pop(), "functions", "do not match the slots of PJRT_Api")

    def test_unknown_arguments(self):
        self.assert_refused(lambda r: r["functions"][5].update(args="PJRT_Nothing_Args"), "functions[5]", ".args",
                            "unknown struct 'PJRT_Nothing_Args'")

    def test_arguments_without_struct_size(self):
        self.assert_refused(lambda r: r["functions"][5].update(args="PJRT_Chunk"), "functions[5]", ".args",
                            "does not begin with struct_size")

    def test_return_type(self):
        self.assert_refused(lambda r: r["functions"][5].update(returns="int"), "functions[5]", ".returns", "unexpected 'int'")

    def test_version_before_the_oldest(self):
        self.assert_refused(lambda r: r["functions"][5].update(since="0.56"), "functions[5]", ".since",
                            "outside the versions described")

    def test_version_after_the_newest(self):
        self.assert_refused(lambda r: r["functions"][5].update(since="0.115"), "functions[5]", ".since",
                            "outside the versions described")

    def test_version_that_is_none(self):
        self.assert_refused(lambda r: r["functions"][5].update(since=57), "functions[5].since", "'57' is not a version")

    def test_table_that_is_missing(self):
        self.assert_refused(lambda r: r["structs"].pop("PJRT_Api"), "PJRT_Api is missing")

    def test_type_of_a_parameter(self):
        self.assert_refused(lambda r: r["function_types"]["PJRT_Compile"]["params"].__setitem__(0, ["args", "Nothing *"]),
                            "function_types.PJRT_Compile.args", "unknown type 'Nothing'")

    def test_alias_of_nothing(self):
        self.assert_refused(lambda r: r["aliases"].update(PJRT_New="PJRT_Nothing"), "aliases.PJRT_New",
                            "unknown type 'PJRT_Nothing'")


class Extensions(Refused):
    def test_number_of_another_extension(self):
        def swap(r):
            r["extensions"][1]["type"], r["extensions"][2]["type"] = 2, 1
        self.assert_refused(swap, "extensions[1] (Profiler).type", "2 is PJRT_Extension_Type_Custom_Partitioner")

    def test_number_without_an_extension(self):
        self.assert_refused(lambda r: r["extensions"].pop(), "extensions", "do not match the enumerators of PJRT_Extension_Type")

    def test_unknown_struct(self):
        self.assert_refused(lambda r: r["extensions"][1].update(struct="PJRT_Nothing"), "extensions[1] (Profiler).struct",
                            "unknown struct")

    def test_size_that_is_not_that_of_the_struct(self):
        self.assert_refused(lambda r: r["extensions"][1].update(struct_size=48), "extensions[1] (Profiler).struct_size",
                            "48, but the struct says 40")

    def test_entry_that_the_struct_has_not(self):
        self.assert_refused(lambda r: r["extensions"][1]["functions"][0].update(field="nothing"),
                            "extensions[1] (Profiler).functions[0] (nothing)", "does not match the struct")

    def test_entry_at_another_offset(self):
        self.assert_refused(lambda r: r["extensions"][1]["functions"][0].update(offset=32),
                            "extensions[1] (Profiler).functions[0]", "does not match the struct")


class Overlay(Refused):
    def test_direction_of_an_unknown_struct(self):
        self.assert_overlay_refused(lambda o: o["directions"].update(PJRT_Nothing={"x": "out"}),
                                    "overlay.directions.PJRT_Nothing", "unknown struct")

    def test_direction_of_an_unknown_field(self):
        self.assert_overlay_refused(lambda o: o["directions"].update({COMPILE: {"nothing": "out"}}),
                                    f"overlay.directions.{COMPILE}.nothing", "unknown field")

    def test_direction_that_is_none(self):
        self.assert_overlay_refused(lambda o: o["directions"].update({COMPILE: {"client": "up"}}),
                                    f"overlay.directions.{COMPILE}.client", "'up' is none of")

    def test_direction_that_the_registry_has_already(self):
        self.assert_overlay_refused(lambda o: o["directions"].update({COMPILE: {"executable": "out"}}),
                                    f"overlay.directions.{COMPILE}.executable", "the registry says 'out' already")

    def test_version_of_an_unknown_enumerator(self):
        self.assert_overlay_refused(lambda o: o["enumerators_since"].update(PJRT_Nothing="0.60"),
                                    "overlay.enumerators_since.PJRT_Nothing", "unknown enumerator")

    def test_parent_of_an_unknown_handle(self):
        self.assert_overlay_refused(lambda o: o["parents"].update(PJRT_Nothing="PJRT_Client"), "overlay.parents.PJRT_Nothing",
                                    "unknown handle")

    def test_unknown_parent(self):
        self.assert_overlay_refused(lambda o: o["parents"].update(PJRT_Buffer="PJRT_Nothing"), "overlay.parents.PJRT_Buffer",
                                    "unknown 'PJRT_Nothing'")

    def test_destroyed_by_an_unknown_function(self):
        self.assert_overlay_refused(lambda o: o["destroyed_by"].update(PJRT_Buffer="PJRT_Nothing"),
                                    "overlay.destroyed_by.PJRT_Buffer", "unknown function")

    def test_consumed_by_an_unknown_function(self):
        self.assert_overlay_refused(lambda o: o["consumes"].update(PJRT_Nothing=["x"]), "overlay.consumes.PJRT_Nothing",
                                    "unknown function")

    def test_consumed_unknown_field(self):
        self.assert_overlay_refused(lambda o: o["consumes"].update(PJRT_Client_Compile=["nothing"]),
                                    "overlay.consumes.PJRT_Client_Compile", "unknown field 'nothing'")

    def test_freed_unknown_field(self):
        self.assert_overlay_refused(lambda o: o["frees"].update({f"{COMPILE}.nothing": "x"}), f"overlay.frees.{COMPILE}.nothing",
                                    "unknown field")

    def test_unchecked_size_of_an_unknown_function(self):
        self.assert_overlay_refused(lambda o: o["unchecked_size"].append("PJRT_Nothing"), "overlay.unchecked_size.PJRT_Nothing",
                                    "unknown function")

    def test_section_that_is_missing(self):
        self.assert_overlay_refused(lambda o: o.pop("parents"), "overlay", "'parents' is missing")


class Json(Refused):
    def test_key_that_stands_twice(self):
        with self.assertRaisesRegex(BadRegistry, "registry.json: key 'a' stands twice"):
            self.read('{"a": 1, "a": 2}')

    def test_key_of_a_struct_that_stands_twice(self):
        text = json.dumps(REGISTRY).replace(f'"{COMPILE}": {{', f'"{COMPILE}": {{}}, "{COMPILE}": {{')
        with self.assertRaisesRegex(BadRegistry, f"key '{COMPILE}' stands twice"):
            self.read(text)

    def test_syntax_error_with_line_and_column(self):
        with self.assertRaisesRegex(BadRegistry, r"registry.json:2:\d+: "):
            self.read('{\n"a": }')

    def test_no_object(self):
        with self.assertRaisesRegex(BadRegistry, "registry.json: is not a JSON object"):
            self.read("[]")

    def test_section_that_is_missing(self):
        for section in ("constants", "enums", "handles", "aliases", "function_types", "structs", "functions", "extensions"):
            with self.subTest(section):
                self.assert_refused(lambda r: r.pop(section), "registry.json", f"'{section}' is missing")

    def test_version_that_is_missing(self):
        self.assert_refused(lambda r: r.pop("pjrt_api_version"), "registry.json.pjrt_api_version", "'None' is not a version")

    def test_number_that_is_a_string(self):
        self.assert_refused(lambda r: field(r, 2).update(offset="16"), f"structs.{COMPILE}.fields[2].offset",
                            "is not of type int")

    def test_number_that_is_a_boolean(self):
        self.assert_refused(lambda r: r["functions"][1].update(slot=True), "functions[1].slot", "is not of type int")


class AnyEdit(unittest.TestCase):
    """Whatever stands in the data, the reader takes it or refuses it; it does not fall over."""

    def places(self, data: object, path: tuple = ()):
        """Where to edit: every key of small dictionaries, the first of large ones and of lists."""
        if path:
            yield path
        if isinstance(data, dict):
            for key in list(data) if len(data) < 14 else list(data)[:1]:
                yield from self.places(data[key], (*path, key))
        elif isinstance(data, list) and data:
            yield from self.places(data[0], (*path, 0))

    def edited(self, data: dict, path: tuple, value: object) -> dict:
        top = at = dict(data)
        for step in path[:-1]:
            at[step] = copy.copy(at[step])
            at = at[step]
        if value == "delete":
            at.pop(path[-1])
        else:
            at[path[-1]] = value
        return top

    def try_all(self, name: str) -> int:
        files = {"registry.json": REGISTRY, "overlay.json": OVERLAY, "protos.json": PROTOS}
        tried = 0
        for path in self.places(files[name]):
            for value in (None, -1, "x", [[]], {"x": {}}, "delete"):
                given = {**files, name: self.edited(files[name], path, value)}
                tried += 1
                with self.subTest(path=path, value=value), mock.patch("reader._load", lambda p: given[p.name]):
                    try:
                        if name == "protos.json":
                            read_protos(Path(name))
                        else:
                            read_registry(Path("registry.json"), Path("overlay.json"))
                    except BadRegistry:
                        pass
        return tried

    def test_of_the_registry(self):
        self.assertGreater(self.try_all("registry.json"), 200)

    def test_of_the_overlay(self):
        self.assertGreater(self.try_all("overlay.json"), 100)

    def test_of_the_protos(self):
        self.assertGreater(self.try_all("protos.json"), 30)


class ProtoFields(InFolder):
    def assert_refused(self, edit: Callable[[dict], object], text: str) -> None:
        protos = copy.deepcopy(PROTOS)
        edit(protos["messages"]["xla.CompileOptionsProto"])
        with self.assertRaises(BadRegistry) as caught:
            read_protos(self.write("protos.json", protos))
        self.assertIn(text, str(caught.exception))

    def test_number_that_stands_twice(self):
        self.assert_refused(lambda m: m.append([3, "new", "int64"]),
                            "protos.json.messages.xla.CompileOptionsProto[11]: field number 3 stands twice")

    def test_number_outside_the_range(self):
        for number in (0, -1, 1 << 29, "4"):
            self.assert_refused(lambda m: m.append([number, "new", "int64"]), f"bad field number {number}")

    def test_name_that_stands_twice(self):
        self.assert_refused(lambda m: m.append([99, "argument_layouts", "int64"]), "'argument_layouts' stands twice")


class Verify(InFolder):
    """The command, on a tree of its own."""

    def generate(self, *args: str) -> subprocess.CompletedProcess:
        return subprocess.run([sys.executable, "-B", str(ROOT / "abi" / "gen"), "--root", str(self.folder),
        "--abi", str(self.abi), *args],
                              capture_output=True, text=True, check=False)

    def setUp(self) -> None:
        super().setUp()
        self.abi = ROOT / "abi"
        self.written = self.generate()
        self.core = self.folder / "include/pjrt/abi/core.h"

    def test_finds_nothing_in_what_was_just_written(self):
        self.assertEqual(self.written.returncode, 0, self.written.stderr)
        verified = self.generate("--verify")
        self.assertEqual(verified.returncode, 0, verified.stderr)
        self.assertIn(" 0 faults", verified.stdout)

    def test_finds_a_changed_byte(self):
        text = self.core.read_bytes()
        self.core.write_bytes(text.replace(b"PJRT_Error_Code_OK = 0", b"PJRT_Error_Code_OK = 9"))
        verified = self.generate("--verify")
        self.assertEqual(verified.returncode, 1)
        self.assertIn("include/pjrt/abi/core.h: differs from what the registry says", verified.stderr)
        self.assertIn("-  PJRT_Error_Code_OK = 9,", verified.stderr)

    def test_finds_a_byte_added_at_the_end(self):
        self.core.write_bytes(self.core.read_bytes() + b"\n")
        self.assertEqual(self.generate("--verify").returncode, 1)

    def test_finds_a_missing_file(self):
        self.core.unlink()
        verified = self.generate("--verify")
        self.assertEqual(verified.returncode, 1)
        self.assertIn("include/pjrt/abi/core.h: missing", verified.stderr)

    def test_finds_an_orphan(self):
        (self.folder / "src/abi/old.cpp").write_text("// Generated by abi/gen/old.py from abi/registry.json.\n")
        verified = self.generate("--verify")
        self.assertEqual(verified.returncode, 1)
        self.assertIn("src/abi/old.cpp: orphan", verified.stderr)

    def test_leaves_handwritten_files_alone(self):
        (self.folder / "src/abi/own.cpp").write_text("// By hand.\n")
        self.assertEqual(self.generate("--verify").returncode, 0)

    def test_writes_nothing(self):
        self.core.unlink()
        self.generate("--verify")
        self.assertFalse(self.core.exists())

    def test_generating_again_mends_the_tree(self):
        self.core.unlink()
        self.assertIn("wrote include/pjrt/abi/core.h", self.generate().stdout)
        self.assertEqual(self.generate("--verify").returncode, 0)

    def test_refuses_bad_data_before_it_writes(self):
        self.abi = self.folder / "abi"
        self.abi.mkdir()
        registry = copy.deepcopy(REGISTRY)
        field(registry, 3)["offset"] = 16
        for name, data in (("registry.json", registry), ("overlay.json", OVERLAY), ("protos.json", PROTOS)):
            (self.abi / name).write_text(json.dumps(data))
        self.core.unlink()
        refused = self.generate()
        self.assertEqual(refused.returncode, 2)
        self.assertIn(f"abi/gen: structs.{COMPILE}.fields[3] (program).offset: 16 overlaps", refused.stderr)
        self.assertFalse(self.core.exists())

    def test_follows_the_data(self):  # a change of the registry is a change of what is generated
        self.abi = self.folder / "abi"
        self.abi.mkdir()
        registry = copy.deepcopy(REGISTRY)
        registry["enums"]["PJRT_Error_Code"]["values"].append(["PJRT_Error_Code_NEW", 17])
        for name, data in (("registry.json", registry), ("overlay.json", OVERLAY), ("protos.json", PROTOS)):
            (self.abi / name).write_text(json.dumps(data))
        self.assertIn("+  PJRT_Error_Code_NEW = 17,", self.generate("--verify").stderr)


if __name__ == "__main__":
    unittest.main()
