#include "core/convert.hpp"

#include "pjrt/abi/functions.hpp"

namespace pjrt::detail {

PayloadsC::PayloadsC(const Error& error) {
  values_.reserve(error.payloads().size());
  for (const ErrorPayload& payload : error.payloads()) {
    abi::PJRT_NamedValue& c = values_.emplace_back();
    c.struct_size = abi::struct_size<abi::PJRT_NamedValue>;
    c.name = payload.key.data();
    c.name_size = payload.key.size();
    c.type = abi::PJRT_NamedValue_kString;
    c.string_value = payload.value.data();
    c.value_size = payload.value.size();
  }
}

NamedValuesC::NamedValuesC(const NamedValues& values) {
  values_.reserve(values.size());
  for (const NamedValue& v : values) {
    abi::PJRT_NamedValue& c = values_.emplace_back();
    c.struct_size = abi::struct_size<abi::PJRT_NamedValue>;
    c.name = v.name.data();
    c.name_size = v.name.size();
    c.value_size = 1;
    if (const auto* s = v.value.string()) {
      c.type = abi::PJRT_NamedValue_kString;
      c.string_value = s->data();
      c.value_size = s->size();
    } else if (const auto* i = v.value.int64()) {
      c.type = abi::PJRT_NamedValue_kInt64;
      c.int64_value = *i;
    } else if (const auto* l = v.value.int64_list()) {
      c.type = abi::PJRT_NamedValue_kInt64List;
      c.int64_array_value = l->data();
      c.value_size = l->size();
    } else if (const auto* f = v.value.float32()) {
      c.type = abi::PJRT_NamedValue_kFloat;
      c.float_value = *f;
    } else {
      c.type = abi::PJRT_NamedValue_kBool;
      c.bool_value = *v.value.boolean();
    }
  }
}

Result<NamedValues> from_c(const abi::PJRT_NamedValue* values, std::size_t count) {
  NamedValues result;
  if (values == nullptr && count > 0) {
    return std::unexpected(Error(
        ErrorCode::Internal, "the plugin gives " + std::to_string(count) + " named values, and a null array of them"));
  }
  for (std::size_t i = 0; i < count; ++i) {
    const abi::PJRT_NamedValue& v = values[i];
    std::string name(text(v.name, v.name_size));
    switch (v.type) {
      case abi::PJRT_NamedValue_kString:
        result.add(std::move(name), std::string(text(v.string_value, v.value_size)));
        break;
      case abi::PJRT_NamedValue_kInt64:
        result.add(std::move(name), v.int64_value);
        break;
      case abi::PJRT_NamedValue_kInt64List:
        result.add(std::move(name), std::vector<std::int64_t>(v.int64_array_value, v.int64_array_value + v.value_size));
        break;
      case abi::PJRT_NamedValue_kFloat:
        result.add(std::move(name), v.float_value);
        break;
      case abi::PJRT_NamedValue_kBool:
        result.add(std::move(name), v.bool_value);
        break;
      default:
        return std::unexpected(Error(ErrorCode::Internal, "the plugin gives '" + name +
                                                              "' a type this library does not know (" +
                                                              std::to_string(static_cast<int>(v.type)) + ")"));
    }
  }
  return result;
}

MemoryLayoutC::MemoryLayoutC(const MemoryLayout& layout) {
  std::visit([this](const auto& l) { set(l); }, layout);
}

MemoryLayoutC::MemoryLayoutC(const Layout& layout) {
  set(layout);
}

MemoryLayoutC::MemoryLayoutC(const Layout& layout, ElementType type)
    : implied_(is_packed(type) && layout.is_row_major()) {
  set(layout);
}

void MemoryLayoutC::set(const Layout& layout) {
  order_.assign(layout.minor_to_major().begin(), layout.minor_to_major().end());
  for (const std::vector<std::int64_t>& tile : layout.tiles()) {
    tile_dims_.insert(tile_dims_.end(), tile.begin(), tile.end());
    tile_sizes_.push_back(tile.size());
  }
  c_.struct_size = abi::struct_size<abi::PJRT_Buffer_MemoryLayout>;
  c_.type = abi::PJRT_Buffer_MemoryLayout_Type_Tiled;
  c_.tiled.struct_size = abi::struct_size<abi::PJRT_Buffer_MemoryLayout_Tiled>;
  c_.tiled.minor_to_major = order_.data();
  c_.tiled.minor_to_major_size = order_.size();
  c_.tiled.tile_dims = tile_dims_.data();
  c_.tiled.tile_dim_sizes = tile_sizes_.data();
  c_.tiled.num_tiles = tile_sizes_.size();
}

void MemoryLayoutC::set(const Strides& strides) {
  order_ = strides.bytes;
  c_.struct_size = abi::struct_size<abi::PJRT_Buffer_MemoryLayout>;
  c_.type = abi::PJRT_Buffer_MemoryLayout_Type_Strides;
  c_.strides.struct_size = abi::struct_size<abi::PJRT_Buffer_MemoryLayout_Strides>;
  c_.strides.byte_strides = order_.data();
  c_.strides.num_byte_strides = order_.size();
}

Result<MemoryLayout> from_c(const abi::PJRT_Buffer_MemoryLayout& layout) {
  if (layout.type == abi::PJRT_Buffer_MemoryLayout_Type_Strides) {
    return Strides{{layout.strides.byte_strides, layout.strides.byte_strides + layout.strides.num_byte_strides}};
  }
  if (layout.type != abi::PJRT_Buffer_MemoryLayout_Type_Tiled) {
    return std::unexpected(
        Error(ErrorCode::Internal, "the plugin describes a layout of a kind this library does not know (" +
                                       std::to_string(static_cast<int>(layout.type)) + ")"));
  }
  const abi::PJRT_Buffer_MemoryLayout_Tiled& t = layout.tiled;
  std::vector<std::vector<std::int64_t>> tiles;
  const std::int64_t* dims = t.tile_dims;
  for (std::size_t i = 0; i < t.num_tiles; ++i) {
    tiles.emplace_back(dims, dims + t.tile_dim_sizes[i]);
    dims += t.tile_dim_sizes[i];
  }
  Result<Layout> made = Layout::create({t.minor_to_major, t.minor_to_major + t.minor_to_major_size}, std::move(tiles));
  if (!made) return std::unexpected(std::move(made).error());
  return *std::move(made);
}

ElementType from_c(abi::PJRT_Buffer_Type type) {
  const int number = static_cast<int>(type);
  return number > 0 && number < kElementTypeCount ? static_cast<ElementType>(number) : ElementType::Invalid;
}

}  // namespace pjrt::detail
