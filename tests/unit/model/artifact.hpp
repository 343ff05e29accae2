#pragma once

#include <flatbuffers/flatbuffers.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

/// Writes jax.export artifacts part by part, wrong ones too.

namespace pjrt::test {

struct Node {
  enum Kind : std::int8_t { Leaf = 0, None = 1, Tuple = 2, List = 3, Dict = 4, Custom = 5 };
  std::int8_t kind = Leaf;
  std::vector<Node> children;
  std::vector<std::string> names;
  std::string custom_name;
  std::string auxdata;
};

inline Node leaf() {
  return {};
}
inline Node tuple(std::vector<Node> children) {
  return {.kind = Node::Tuple, .children = std::move(children)};
}
inline Node dict(std::vector<std::string> names, std::vector<Node> children) {
  return {.kind = Node::Dict, .children = std::move(children), .names = std::move(names)};
}
inline Node custom(std::string name, std::string auxdata, std::vector<Node> children) {
  return {.kind = Node::Custom,
          .children = std::move(children),
          .custom_name = std::move(name),
          .auxdata = std::move(auxdata)};
}
/// (args, {})
inline Node arguments(std::vector<Node> args) {
  return tuple({tuple(std::move(args)), dict({}, {})});
}

struct Aval {
  std::vector<std::string> dims = {"2", "3"};
  std::int8_t dtype = 10;  // float32
  std::int8_t kind = 0;
  std::int8_t memory_space = 0;
};

struct Mesh {
  std::vector<std::string> names;
  std::vector<std::uint32_t> sizes;
  std::vector<std::int8_t> types = {};
};

struct NamedSharding {
  std::vector<std::vector<std::string>> axes;
  std::vector<std::string> unreduced = {};
  std::optional<Mesh> own_mesh = std::nullopt;
  std::uint32_t mesh = 0;
};

/// f32[2,3] -> f32[2,3], unless a test changes it.
struct Artifact {
  std::string module = std::string("ML\xEFR\x0D", 5) + std::string("StableHLO_v1.0.0\0", 17);
  std::optional<std::string> function_name = "f";
  std::optional<std::string> jax_version;
  std::optional<Node> in_tree = arguments({leaf()});
  std::optional<Node> out_tree = leaf();
  std::vector<Aval> types = {{}};
  std::vector<std::uint32_t> in_types = {0};
  std::vector<std::uint32_t> out_types = {0};
  std::vector<Aval> in_avals;
  std::vector<Aval> out_avals;
  std::vector<std::uint16_t> kept = {0};
  std::vector<std::string> platforms = {"cpu"};
  std::uint16_t calling_convention = 10;
  std::uint32_t devices = 1;
  std::int16_t devices_short = 0;
  std::vector<Mesh> meshes;
  std::vector<NamedSharding> shardings;
  std::vector<std::uint32_t> in_shardings;
  std::vector<std::uint32_t> out_shardings;
  std::vector<std::optional<std::string>> in_hlo_shardings;  // as artifacts before jax 0.9 have them
  std::vector<std::string> ordered_effects;
  std::vector<std::pair<std::int8_t, std::string>> disabled_checks;
  /// For trees that no tree of nodes can be: builds in_tree itself.
  flatbuffers::uoffset_t (*build_in_tree)(flatbuffers::FlatBufferBuilder&) = nullptr;

  std::string build() const;
};

class ArtifactWriter {
 public:
  using Offset = flatbuffers::uoffset_t;

  explicit ArtifactWriter(flatbuffers::FlatBufferBuilder& builder) : b_(builder) {}

  Offset node(const Node& n) {
    const Offset children =
        n.children.empty() ? 0 : tables(n.children, [this](const Node& child) { return node(child); });
    const Offset names = n.names.empty() ? 0 : strings(n.names);
    const Offset custom_name = n.custom_name.empty() ? 0 : string(n.custom_name);
    const Offset auxdata = n.auxdata.empty() ? 0 : bytes(n.auxdata);
    const Offset start = b_.StartTable();
    b_.AddElement<std::int8_t>(slot(0), n.kind, 0);
    offset(1, children);
    offset(2, names);
    offset(3, custom_name);
    offset(4, auxdata);
    return b_.EndTable(start);
  }

  Offset artifact(const Artifact& a) {
    const Offset function_name = a.function_name ? string(*a.function_name) : 0;
    const Offset jax_version = a.jax_version ? string(*a.jax_version) : 0;
    const Offset in_tree = a.build_in_tree ? a.build_in_tree(b_) : a.in_tree ? node(*a.in_tree) : 0;
    const Offset out_tree = a.out_tree ? node(*a.out_tree) : 0;
    const auto write_aval = [this](const Aval& v) { return aval(v); };
    const auto write_string = [this](const std::string& s) { return string(s); };
    const Offset in_avals = tables(a.in_avals, write_aval);
    const Offset out_avals = tables(a.out_avals, write_aval);
    const Offset in_hlo_shardings = tables(a.in_hlo_shardings, [this](const std::optional<std::string>& proto) {
      const Offset data = proto ? bytes(*proto) : 0;
      return table({{1, data}});
    });
    const Offset platforms = tables(a.platforms, write_string);
    const Offset effects =
        tables(a.ordered_effects, [this](const std::string& name) { return table({{0, string(name)}}); });
    const Offset checks = tables(a.disabled_checks, [this](const auto& check) {
      const Offset target = string(check.second);
      const Offset start = b_.StartTable();
      b_.AddElement<std::int8_t>(slot(0), check.first, 0);
      offset(1, target);
      return b_.EndTable(start);
    });
    const Offset module = bytes(a.module);
    const Offset kept = b_.CreateVector(a.kept).o;
    const Offset types = tables(a.types, write_aval);
    const Offset meshes = tables(a.meshes, [this](const Mesh& m) { return mesh(m); });
    const Offset shardings = tables(a.shardings, [this](const NamedSharding& s) { return sharding(s); });
    const Offset in_types = b_.CreateVector(a.in_types).o;
    const Offset out_types = b_.CreateVector(a.out_types).o;
    const Offset in_shardings = b_.CreateVector(a.in_shardings).o;
    const Offset out_shardings = b_.CreateVector(a.out_shardings).o;
    const Offset start = b_.StartTable();
    b_.AddElement<std::uint16_t>(slot(0), 3, 0);
    offset(1, function_name);
    offset(2, in_tree);
    offset(3, in_avals);
    offset(4, out_tree);
    offset(5, out_avals);
    b_.AddElement<std::int16_t>(slot(6), a.devices_short, 0);
    offset(7, in_hlo_shardings);
    offset(9, platforms);
    offset(10, effects);
    offset(12, checks);
    offset(13, module);
    b_.AddElement<std::uint16_t>(slot(14), a.calling_convention, 0);
    offset(15, kept);
    b_.AddElement<std::uint32_t>(slot(18), a.devices, 0);
    offset(19, types);
    offset(20, meshes);
    offset(21, shardings);
    offset(22, in_types);
    offset(23, out_types);
    offset(24, in_shardings);
    offset(25, out_shardings);
    offset(26, jax_version);
    return b_.EndTable(start);
  }

 private:
  static flatbuffers::voffset_t slot(int id) { return static_cast<flatbuffers::voffset_t>(4 + 2 * id); }

  void offset(int id, Offset to) {
    if (to != 0) b_.AddOffset(slot(id), flatbuffers::Offset<void>(to));
  }

  Offset string(const std::string& text) { return b_.CreateString(text).o; }
  Offset bytes(const std::string& text) {
    return b_.CreateVector(reinterpret_cast<const std::uint8_t*>(text.data()), text.size()).o;
  }
  Offset strings(const std::vector<std::string>& texts) {
    return tables(texts, [this](const std::string& text) { return string(text); });
  }

  template <class T, class F>
  Offset tables(const std::vector<T>& items, F write) {
    std::vector<flatbuffers::Offset<void>> offsets;
    for (const T& item : items) offsets.emplace_back(write(item));
    return b_.CreateVector(offsets).o;
  }

  Offset table(std::initializer_list<std::pair<int, Offset>> fields) {
    const Offset start = b_.StartTable();
    for (const auto& [id, to] : fields) offset(id, to);
    return b_.EndTable(start);
  }

  Offset aval(const Aval& v) {
    const Offset dims = strings(v.dims);
    const Offset start = b_.StartTable();
    b_.AddElement<std::int8_t>(slot(0), v.kind, 0);
    offset(1, dims);
    b_.AddElement<std::int8_t>(slot(2), v.dtype, 0);
    b_.AddElement<std::int8_t>(slot(3), v.memory_space, 0);
    return b_.EndTable(start);
  }

  Offset mesh(const Mesh& m) {
    const Offset sizes = b_.CreateVector(m.sizes).o;
    const Offset names = strings(m.names);
    const Offset types = m.types.empty() ? 0 : b_.CreateVector(m.types).o;
    return table({{0, sizes}, {1, names}, {2, types}});
  }

  Offset sharding(const NamedSharding& s) {
    const Offset own_mesh = s.own_mesh ? mesh(*s.own_mesh) : 0;
    const Offset partitions =
        tables(s.axes, [this](const std::vector<std::string>& axes) { return table({{0, strings(axes)}}); });
    const Offset unreduced = strings(s.unreduced);
    const Offset spec = table({{0, partitions}, {2, unreduced}});
    const Offset start = b_.StartTable();
    offset(0, own_mesh);
    offset(1, spec);
    b_.AddElement<std::uint32_t>(slot(3), s.mesh, 0);
    return b_.EndTable(start);
  }

  flatbuffers::FlatBufferBuilder& b_;
};

inline std::string Artifact::build() const {
  flatbuffers::FlatBufferBuilder builder;
  builder.Finish(flatbuffers::Offset<void>(ArtifactWriter(builder).artifact(*this)));
  return {reinterpret_cast<const char*>(builder.GetBufferPointer()), builder.GetSize()};
}

}  // namespace pjrt::test
