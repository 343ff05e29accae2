// What files are, told by how they begin.

#include "core/file_kind.hpp"

#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include "support/data.hpp"

namespace pjrt::detail {
namespace {

using namespace std::string_literals;

FileKind kind(std::string_view content) {
  return kind_of(std::as_bytes(std::span(content)));
}

FileKind kind_of_data(const std::string& name) {
  return kind(test::read_all(test::data_file(name)));
}

TEST(FileKind, OfModelsThatJaxWrites) {
  EXPECT_EQ(kind_of_data("program/add_one.mlir"), FileKind::MlirText);
  EXPECT_EQ(kind_of_data("program/add_one_1.9.0.mlirbc"), FileKind::MlirBytecode);
  EXPECT_EQ(kind_of_data("program/add_one_unversioned.mlirbc"), FileKind::MlirBytecode);
  EXPECT_EQ(kind_of_data("program/add_one.hlo.pb"), FileKind::Hlo);
  EXPECT_EQ(kind_of_data("program/add_one.hlo.txt"), FileKind::HloText);
  EXPECT_EQ(kind_of_data("exports/kwargs.jaxexp"), FileKind::JaxExport);
  EXPECT_EQ(kind_of_data("exports/symbolic.jaxexp"), FileKind::JaxExport);
}

TEST(FileKind, OfArrayFiles) {
  EXPECT_EQ(kind_of_data("npy/float32.npy"), FileKind::Npy);
  EXPECT_EQ(kind_of_data("exports/kwargs.inputs.npz"), FileKind::Npz);
  const std::string header = R"({"x":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})";
  EXPECT_EQ(kind(std::string(1, static_cast<char>(header.size())) + "\0\0\0\0\0\0\0"s + header + "abcd"),
            FileKind::Safetensors);
}

TEST(FileKind, OfMlirTextInAllItsBeginnings) {
  for (const char* text : {"module {}",
                           "module @a {}",
                           "module attributes {a = 1} {}",
                           "builtin.module {}",
                           "module{}",
                           "\"builtin.module\"() ({}) : () -> ()",
                           "\n\n// a comment\n  module @a {}",
                           "#loc = loc(\"x\")\nmodule {}",
                           "#loc1 = loc(unknown)",
                           "!t = tensor<2xf32>\nmodule {}",
                           "func.func @main() { return }",
                           "func.func public @main() { return }",
                           "func @main() { return }",
                           "func private @main()",
                           "sdy.mesh @mesh = <[\"d\"=8]>",
                           "%0 = stablehlo.constant dense<1> : tensor<i32>",
                           "%0:2 = \"a.b\"() : () -> (i1, i1)",
                           "{-# dialect_resources: {} #-}",
                           "\xef\xbb\xbfmodule {}",
                           "// HloModule is not meant\nmodule {}"})
    EXPECT_EQ(kind(text), FileKind::MlirText) << text;
}

TEST(FileKind, OfTextThatIsNoMlir) {
  for (const char* text : {"hello", "module foo does what it can", "modules {}", "# a heading", "#!/bin/sh\n", "!",
                           "a.b c", "func", "\"quoted\" words", "\"a.b\" words", "// only a comment", " \n", "%",
                           "100%", "{", "stablehlo. Is a dialect.", "key: value", "x = 1"})
    EXPECT_EQ(kind(text), FileKind::Text) << text;
}

TEST(FileKind, OfHloTextWithCommentsBefore) {
  EXPECT_EQ(kind("HloModule m\n"), FileKind::HloText);
  EXPECT_EQ(kind("\n// one\n/* two\nlines */ HloModule m, entry_computation_layout={}\n"), FileKind::HloText);
  EXPECT_EQ(kind("\xef\xbb\xbfHloModule m\n"), FileKind::HloText);
  EXPECT_EQ(kind("HloModules are nice"), FileKind::Text);
}

TEST(FileKind, OfOtherText) {
  EXPECT_EQ(kind("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"), FileKind::GitLfsPointer);
  EXPECT_EQ(kind("<!DOCTYPE html><html></html>"), FileKind::Html);
  EXPECT_EQ(kind("\n <HTML>"), FileKind::Html);
  EXPECT_EQ(kind("<?xml version=\"1.0\"?>"), FileKind::Xml);
  EXPECT_EQ(kind("{\"a\": 1}"), FileKind::Json);
  EXPECT_EQ(kind("{}\n"), FileKind::Json);
  EXPECT_EQ(kind(" [1, 2]"), FileKind::Json);
  EXPECT_EQ(kind("\xef\xbb\xbf{\"a\": 1}"), FileKind::Json);
  EXPECT_EQ(kind("\xff\xfem\0o\0d\0"s), FileKind::Utf16Text);
  EXPECT_EQ(kind("\xfe\xff\0m\0o\0d"s), FileKind::Utf16Text);
  EXPECT_EQ(kind("m\0o\0d\0u\0l\0e\0"s), FileKind::Utf16Text);
  EXPECT_EQ(kind("\0m\0o\0d\0\n"s), FileKind::Utf16Text);
}

TEST(FileKind, OfOtherBinaryFiles) {
  EXPECT_EQ(kind(""), FileKind::Empty);
  EXPECT_EQ(kind("\x1f\x8b\x08\0"s), FileKind::Gzip);
  EXPECT_EQ(kind("PK\x05\x06"s + std::string(18, '\0')), FileKind::Zip);
  EXPECT_EQ(kind("\x7f\x45LF\x02\x01"), FileKind::Elf);
  EXPECT_EQ(kind("pjrt-cpp executable 1\n"), FileKind::CompiledExecutable);
  EXPECT_EQ(kind("\x80\x04\x95\x0b\0"s), FileKind::Pickle);
  EXPECT_EQ(kind("\x89HDF\r\n\x1a\n"), FileKind::Hdf5);
  // The first fields of a SavedModel (version 1, a meta graph) and of an ONNX model (version 8, producer, graph).
  EXPECT_EQ(kind("\x08\x01\x12\x02\x0a\0"s), FileKind::SavedModel);
  EXPECT_EQ(kind("\x08\x08\x12\x01p\x3a\x02\x0a\0"s), FileKind::Onnx);
  EXPECT_EQ(kind("\x0a\x0b\x12\x09/host:CPU"), FileKind::Profile);
  EXPECT_EQ(kind(std::string(100, '\xff')), FileKind::Unknown);
  EXPECT_EQ(kind(std::string(100, '\0')), FileKind::Unknown);
}

TEST(FileKind, HloModulesAreFoundInWhatIsWrappedAroundThem) {
  const std::string module = test::read_all(test::data_file("program/add_one.hlo.pb"));
  const auto wrapped = [](const std::string& inside) {
    return "\x0a"s + static_cast<char>(inside.size() % 128 + 128) + static_cast<char>(inside.size() / 128) + inside;
  };
  EXPECT_EQ(hlo_module_in(module), module);
  EXPECT_EQ(hlo_module_in(wrapped(module)), module);
  EXPECT_EQ(hlo_module_in(wrapped(wrapped(module))), module);
  EXPECT_EQ(kind(wrapped(module)), FileKind::Hlo);
  EXPECT_EQ(hlo_module_in(wrapped(module).substr(0, module.size())), std::nullopt);
  EXPECT_EQ(hlo_module_in("\x0a\x01m"), std::nullopt);
}

TEST(FileKind, ThatIsNoModelIsRefusedWithWhatToDo) {
  EXPECT_EQ(no_model(FileKind::GitLfsPointer, "'m'").message(),
            "'m' is a Git LFS pointer, not a model (run 'git lfs pull')");
  EXPECT_EQ(no_model(FileKind::Empty, "it").message(), "it is empty");
  EXPECT_EQ(no_model(FileKind::Text, "it").message(), "it is text of no known format, not a model");
}

}  // namespace
}  // namespace pjrt::detail
