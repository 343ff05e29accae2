#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "fake_plugin/fake.hpp"

/// What is behind the plugin's handles.

namespace pjrt::fake {

struct Client {
  static constexpr auto kKind = "client";
  std::vector<abi::PJRT_Device*> devices, addressable;
  std::vector<abi::PJRT_Memory*> memories;
  abi::PJRT_TopologyDescription* topology = nullptr;
};

struct Description {
  static constexpr auto kKind = "device description";
  int id, process;
  std::string kind = "fake device";
  std::string debug_string = "FakeDevice(id=" + std::to_string(id) + ")";
  std::string text = "fake:" + std::to_string(id);
};

struct Device {
  static constexpr auto kKind = "device";
  abi::PJRT_DeviceDescription* description;
  int id;
  bool addressable;
  std::vector<abi::PJRT_Memory*> memories = {};
};

struct Memory {
  static constexpr auto kKind = "memory";
  const void* vtable;
  int id, kind_id;
  std::string kind;
  std::vector<abi::PJRT_Device*> devices;
  std::string debug_string = "FakeMemory(id=" + std::to_string(id) + ", kind=" + kind + ")";
  std::string text = kind + ":" + std::to_string(id);
};

struct Topology {
  static constexpr auto kKind = "topology";
  std::string name;
  std::vector<abi::PJRT_DeviceDescription*> descriptions = {};
};

struct Event {
  static constexpr auto kKind = "event";
  std::shared_ptr<Promise> promise;
  bool settable = false;
};

/// Device memory.
struct Storage {
  explicit Storage(std::size_t size) : own(size), data(own.data()), size(size) {}
  Storage(void* theirs, std::size_t size, std::function<void()> gone)
      : data(static_cast<std::byte*>(theirs)), size(size), gone(std::move(gone)) {}
  Storage(const Storage&) = delete;
  ~Storage() {
    if (gone) gone();
  }

  std::vector<std::byte> own;
  std::byte* data;
  std::size_t size;
  std::function<void()> gone;
};

struct Buffer {
  static constexpr auto kKind = "buffer";
  std::shared_ptr<Client> client;
  abi::PJRT_Device* device = nullptr;
  abi::PJRT_Memory* memory = nullptr;
  abi::PJRT_Buffer_Type type = abi::PJRT_Buffer_Type_INVALID;
  std::vector<std::int64_t> dims, minor_to_major;
  std::shared_ptr<Storage> storage;  // null once it is gone
  std::shared_ptr<Promise> ready;
  int external_references = 0;
  std::shared_ptr<Storage> referenced = {};  // by those
};

struct Program;

/// A compiled program, with its answers as C takes them.
struct Compiled {
  std::string name;
  std::shared_ptr<const Program> program;
  std::string options;
  std::vector<abi::PJRT_Buffer_Type> types = {};
  std::vector<std::int64_t> dims = {};
  std::vector<std::size_t> ranks = {};
  std::vector<const char*> output_kinds = {}, parameter_kinds = {};
  std::vector<std::size_t> output_kind_sizes = {}, parameter_kind_sizes = {};
  std::shared_ptr<void> cost = {};
};

struct LoadedExecutable {
  static constexpr auto kKind = "loaded executable";
  std::shared_ptr<Client> client;
  std::shared_ptr<Compiled> compiled;
  std::vector<abi::PJRT_Device*> devices = {};
  std::vector<abi::PJRT_LogicalDeviceIds> logical_ids = {};
  bool deleted = false;
};

struct Executable {
  static constexpr auto kKind = "executable";
  std::shared_ptr<Compiled> compiled;
  bool is_view;
  std::weak_ptr<LoadedExecutable> whole;  // of a view
};

/// Named values as C takes them.
class NamedValuesC {
 public:
  NamedValuesC(NamedValues values) : values_(std::move(values)) {
    for (const NamedValue& v : values_) {
      abi::PJRT_NamedValue& c = c_.emplace_back();
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
      } else if (const auto* x = v.value.float32()) {
        c.type = abi::PJRT_NamedValue_kFloat;
        c.float_value = *x;
      } else {
        c.type = abi::PJRT_NamedValue_kBool;
        c.bool_value = *v.value.boolean();
      }
    }
  }
  NamedValuesC(const NamedValuesC&) = delete;
  abi::PJRT_NamedValue* data() { return c_.data(); }
  std::size_t size() const { return c_.size(); }

 private:
  NamedValues values_;
  std::vector<abi::PJRT_NamedValue> c_;
};

/// An array or text as two out fields.
template <class Pointer, class Container>
void give(Pointer& data, std::size_t& size, Container& from) {
  data = from.data();
  size = from.size();
}

/// An object as the handle that an out field wants.
template <class Handle, class T>
void give(Handle*& out, T* object) {
  out = reinterpret_cast<Handle*>(object);
}

inline std::string text(const char* data, std::size_t size) {
  return data != nullptr ? std::string(data, size) : std::string();
}

[[noreturn]] inline void refuse(ErrorCode code, std::string message) {
  throw Failure{code, std::move(message)};
}

/// The answers of each file, to be put into a plugin.
void answer_clients(FakePlugin& fake);
void answer_buffers(FakePlugin& fake);
void answer_transfers(FakePlugin& fake);
void answer_executables(FakePlugin& fake);
void answer_extensions(FakePlugin& fake);

/// A new event handle for a promise.
inline abi::PJRT_Event* event_of(FakePlugin& fake, std::shared_ptr<Promise> promise) {
  return reinterpret_cast<abi::PJRT_Event*>(fake.make<Event>(std::move(promise)));
}

/// A buffer of that shape, without memory; placed by memory if given, else by device.
Buffer new_buffer(FakePlugin& fake, abi::PJRT_Client* client, abi::PJRT_Device* device, abi::PJRT_Memory* memory,
                  abi::PJRT_Buffer_Type type, const std::int64_t* dims, std::size_t num_dims,
                  const abi::PJRT_Buffer_MemoryLayout* layout);
/// Bytes of an array on the device, which has one element to a byte at least.
std::size_t bytes_of(abi::PJRT_Buffer_Type type, const std::vector<std::int64_t>& dims);
/// The buffer, unless it was deleted or donated.
std::shared_ptr<Buffer> live_buffer(FakePlugin& fake, abi::PJRT_Buffer* buffer);

}  // namespace pjrt::fake
