// Buffers, and what moves their bytes.

#include <algorithm>
#include <numeric>

#include "fake_plugin/objects.hpp"
#include "fake_plugin/run.hpp"

namespace pjrt::fake {

namespace fn = abi::fn;

std::size_t bytes_of(abi::PJRT_Buffer_Type type, const std::vector<std::int64_t>& dims) {
  static constexpr std::size_t kSizes[] = {0, 1, 1, 2, 4, 8, 1, 2, 4, 8, 2, 4, 8, 2, 8, 16, 1,
                                           1, 1, 1, 1, 1, 1, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1,  1};
  if (static_cast<std::size_t>(type) >= std::size(kSizes)) throw Fault{"unknown element type " + std::to_string(type)};
  std::size_t bytes = kSizes[type];
  for (const std::int64_t d : dims) bytes *= static_cast<std::size_t>(d);
  return bytes;
}

Buffer new_buffer(FakePlugin& f, abi::PJRT_Client* client, abi::PJRT_Device* device, abi::PJRT_Memory* memory,
                  abi::PJRT_Buffer_Type type, const std::int64_t* dims, std::size_t num_dims,
                  const abi::PJRT_Buffer_MemoryLayout* layout) {
  Buffer b;
  b.client = f.at<Client>(client);
  b.device = memory != nullptr ? f.at<Memory>(memory)->devices.front() : device;
  b.memory = memory != nullptr ? memory : f.at<Device>(device)->memories.front();
  b.type = type;
  b.dims.assign(dims, dims + num_dims);
  b.minor_to_major.resize(num_dims);
  std::iota(b.minor_to_major.rbegin(), b.minor_to_major.rend(), 0);
  if (layout != nullptr) {
    if (layout->type != abi::PJRT_Buffer_MemoryLayout_Type_Tiled)
      refuse(ErrorCode::InvalidArgument, "the layout is strided");
    b.minor_to_major.assign(layout->tiled.minor_to_major,
                            layout->tiled.minor_to_major + layout->tiled.minor_to_major_size);
  }
  return b;
}

std::shared_ptr<Buffer> live_buffer(FakePlugin& f, abi::PJRT_Buffer* raw) {
  auto buffer = f.at<Buffer>(raw);
  if (buffer->storage == nullptr && buffer->ready->is_set() && !buffer->ready->wait()) {
    refuse(ErrorCode::InvalidArgument, "Buffer has been deleted or donated.");
  }
  return buffer;
}

namespace {

/// Copies a strided array to where it lies densely.
void gather(const std::byte* from, std::span<const std::int64_t> dims, const std::int64_t* strides, std::size_t element,
            std::byte*& to) {
  if (dims.empty()) {
    to = std::copy_n(from, element, to);
    return;
  }
  for (std::int64_t i = 0; i < dims.front(); ++i)
    gather(from + i * *strides, dims.subspan(1), strides + 1, element, to);
}

/// Sets `promise` once the buffer's contents are there, after `work` on them.
void after(FakePlugin& f, const Buffer& source, std::shared_ptr<Promise> promise, std::function<void()> work = {}) {
  source.ready->then(
      [&f, promise = std::move(promise), work = std::move(work)](const Outcome& o) { f.settle(promise, o, work); });
}

abi::PJRT_Event* copy_out(FakePlugin& f, const Buffer& source, void* dst, std::int64_t offset, std::int64_t size) {
  auto done = std::make_shared<Promise>();
  const auto storage = source.storage;
  if (storage != nullptr && (offset < 0 || size < 0 || static_cast<std::size_t>(offset + size) > storage->size)) {
    f.settle(done, Failure{ErrorCode::InvalidArgument, "the range is not in the buffer"});
  } else {
    after(f, source, done, [=] { std::memcpy(dst, storage->data + offset, static_cast<std::size_t>(size)); });
  }
  return event_of(f, done);
}

/// A new buffer with the memory of one that is gone from here on.
Buffer* move_buffer(FakePlugin& f, Buffer& from) {
  Buffer to = from;
  from.storage = nullptr;
  to.external_references = 0;
  to.referenced = nullptr;
  return f.make<Buffer>(std::move(to));
}

Buffer* copy_buffer(FakePlugin& f, const Buffer& from, abi::PJRT_Device* device, abi::PJRT_Memory* memory) {
  Buffer to = from;
  to.device = memory != nullptr ? f.at<Memory>(memory)->devices.front() : device;
  to.memory = memory != nullptr ? memory : f.at<Device>(device)->memories.front();
  to.storage = std::make_shared<Storage>(from.storage->size);
  to.ready = std::make_shared<Promise>();
  to.external_references = 0;
  to.referenced = nullptr;
  after(f, from, to.ready, [from = from.storage, to = to.storage] { std::copy_n(from->data, from->size, to->data); });
  return f.make<Buffer>(std::move(to));
}

struct Alias {
  static constexpr auto kKind = "alias fulfilment";
  std::weak_ptr<Buffer> buffer;
  std::shared_ptr<Promise> ready;
};

struct RawCopy {
  static constexpr auto kKind = "raw copy";
  FakePlugin* owner;
  std::shared_ptr<Promise> done;
  std::shared_ptr<Storage> storage;
  std::int64_t offset, size;
};

struct Dependency {
  static constexpr auto kKind = "control dependency";
  FakePlugin* owner;
  std::shared_ptr<Promise> before, ready;
};

template <class Args>
Outcome outcome_of(const Args& a) {
  if (a.error_code == abi::PJRT_Error_Code_OK) return {};
  return Failure{static_cast<ErrorCode>(a.error_code), text(a.error_message, a.error_message_size)};
}

}  // namespace

void answer_buffers(FakePlugin& f) {
  f.usually<fn::PJRT_Client_BufferFromHostBuffer>([&f](auto& a) {
    Buffer b = new_buffer(f, a.client, a.device, a.memory, a.type, a.dims, a.num_dims, a.device_layout);
    const std::size_t size = bytes_of(a.type, b.dims);
    auto done = std::make_shared<Promise>();
    b.ready = std::make_shared<Promise>();
    if (a.host_buffer_semantics >= abi::PJRT_HostBufferSemantics_kImmutableZeroCopy && a.byte_strides == nullptr) {
      b.storage = std::make_shared<Storage>(const_cast<void*>(a.data), size, [done] { done->set({}); });
      f.settle(b.ready);
    } else {
      b.storage = std::make_shared<Storage>(size);
      const auto copy = [data = static_cast<const std::byte*>(a.data), to = b.storage, dims = b.dims,
                         strides = std::vector<std::int64_t>(a.byte_strides, a.byte_strides + a.num_byte_strides),
                         element = bytes_of(a.type, {})] {
        std::byte* at = to->data;
        if (strides.empty())
          std::copy_n(data, to->size, at);
        else
          gather(data, dims, strides.data(), element, at);
      };
      if (a.host_buffer_semantics == abi::PJRT_HostBufferSemantics_kImmutableOnlyDuringCall) {
        copy();
        done->set({});
        f.settle(b.ready);
      } else {
        f.settle(done, {}, copy);
        after(f, Buffer{.ready = done}, b.ready);
      }
    }
    a.done_with_host_buffer = event_of(f, done);
    give(a.buffer, f.make<Buffer>(std::move(b)));
  });
  f.usually<fn::PJRT_Client_CreateViewOfDeviceBuffer>([&f](auto& a) {
    auto* memory = f.minor >= 66 ? a.memory : nullptr;
    Buffer b = new_buffer(f, a.client, a.device, memory, a.element_type, a.dims, a.num_dims, a.layout);
    if (a.on_delete_callback == nullptr) throw Fault{"on_delete_callback is null"};
    b.storage = std::make_shared<Storage>(a.device_buffer_ptr, bytes_of(a.element_type, b.dims),
                                          [=] { a.on_delete_callback(a.device_buffer_ptr, a.on_delete_callback_arg); });
    b.ready = Promise::kept();
    give(a.buffer, f.make<Buffer>(std::move(b)));
  });
  f.usually<fn::PJRT_Client_CreateUninitializedBuffer>([&f](auto& a) {
    Buffer b = new_buffer(f, a.client, a.device, a.memory, a.shape_element_type, a.shape_dims, a.shape_num_dims,
                          a.shape_layout);
    b.storage = std::make_shared<Storage>(bytes_of(b.type, b.dims));
    b.ready = Promise::kept();
    give(a.buffer, f.make<Buffer>(std::move(b)));
  });
  f.usually<fn::PJRT_Client_CreateErrorBuffer>([&f](auto& a) {
    Buffer b = new_buffer(f, a.client, nullptr, a.memory, a.shape_element_type, a.shape_dims, a.shape_num_dims,
                          a.shape_layout);
    Failure failure = *outcome_of(a);
    for (std::size_t i = 0; f.minor >= 103 && i < a.num_payload; ++i) {
      const abi::PJRT_NamedValue& p = a.payload[i];
      failure.payloads.push_back({text(p.name, p.name_size), text(p.string_value, p.value_size)});
    }
    b.ready = Promise::kept(failure);
    give(a.buffer, f.make<Buffer>(std::move(b)));
  });

  f.usually<fn::PJRT_Client_CreateAliasBuffer>([&f](auto& a) {
    Buffer b = new_buffer(f, a.client, nullptr, a.memory, a.shape_element_type, a.shape_dims, a.shape_num_dims,
                          a.shape_layout);
    b.ready = std::make_shared<Promise>();
    const auto ready = b.ready;
    give(a.alias_buffer, f.make<Buffer>(std::move(b)));
    give(a.fulfill_alias_buffer_cb, f.make<Alias>(f.at<Buffer>(a.alias_buffer), ready));
  });
  f.usually<fn::PJRT_Client_FulfillAliasBuffer>([&f](auto& a) {
    const auto alias = f.take<Alias>(a.fulfill_alias_buffer_cb);
    if (a.status_code != abi::PJRT_Error_Code_OK) {
      f.settle(alias->ready,
               Failure{static_cast<ErrorCode>(a.status_code), text(a.error_message, a.error_message_size)});
      return;
    }
    const auto source = live_buffer(f, a.buffer);
    if (const auto buffer = alias->buffer.lock()) buffer->storage = std::move(source->storage);
    source->storage = nullptr;
    after(f, *source, alias->ready);
  });

  f.usually<fn::PJRT_Buffer_Destroy>([&f](auto& a) { f.take<Buffer>(a.buffer); });
  f.usually<fn::PJRT_Buffer_ElementType>([&f](auto& a) { a.type = f.at<Buffer>(a.buffer)->type; });
  f.usually<fn::PJRT_Buffer_Dimensions>([&f](auto& a) { give(a.dims, a.num_dims, f.at<Buffer>(a.buffer)->dims); });
  f.usually<fn::PJRT_Buffer_UnpaddedDimensions>(
      [&f](auto& a) { give(a.unpadded_dims, a.num_dims, f.at<Buffer>(a.buffer)->dims); });
  f.usually<fn::PJRT_Buffer_DynamicDimensionIndices>([&f](auto& a) { f.at<Buffer>(a.buffer); });
  f.usually<fn::PJRT_Buffer_GetMemoryLayout>([&f](auto& a) {
    const auto buffer = f.at<Buffer>(a.buffer);
    a.layout.type = abi::PJRT_Buffer_MemoryLayout_Type_Tiled;
    give(a.layout.tiled.minor_to_major, a.layout.tiled.minor_to_major_size, buffer->minor_to_major);
  });
  f.usually<fn::PJRT_Buffer_OnDeviceSizeInBytes>([&f](auto& a) {
    const auto buffer = f.at<Buffer>(a.buffer);
    a.on_device_size_in_bytes = bytes_of(buffer->type, buffer->dims);
  });
  f.usually<fn::PJRT_Buffer_Device>([&f](auto& a) { a.device = f.at<Buffer>(a.buffer)->device; });
  f.usually<fn::PJRT_Buffer_Memory>([&f](auto& a) { a.memory = f.at<Buffer>(a.buffer)->memory; });
  f.usually<fn::PJRT_Buffer_IsOnCpu>([&f](auto& a) { a.is_on_cpu = f.at<Buffer>(a.buffer) != nullptr; });
  f.usually<fn::PJRT_Buffer_Delete>([&f](auto& a) { f.at<Buffer>(a.buffer)->storage = nullptr; });
  f.usually<fn::PJRT_Buffer_IsDeleted>([&f](auto& a) {
    const auto buffer = f.at<Buffer>(a.buffer);
    a.is_deleted = buffer->storage == nullptr && buffer->ready->is_set() && !buffer->ready->wait();
  });
  f.usually<fn::PJRT_Buffer_ReadyEvent>([&f](auto& a) { a.event = event_of(f, live_buffer(f, a.buffer)->ready); });
  f.usually<fn::PJRT_Buffer_ToHostBuffer>([&f](auto& a) {
    const auto source = live_buffer(f, a.src);
    const std::size_t size = bytes_of(source->type, source->dims);
    if (a.dst == nullptr) {
      a.dst_size = size;
      return;
    }
    if (a.dst_size < size) refuse(ErrorCode::InvalidArgument, "the destination is too small");
    a.event = copy_out(f, *source, a.dst, 0, static_cast<std::int64_t>(size));
  });
  f.usually<fn::PJRT_Buffer_CopyRawToHost>(
      [&f](auto& a) { a.event = copy_out(f, *live_buffer(f, a.buffer), a.dst, a.offset, a.transfer_size); });
  f.usually<fn::PJRT_Buffer_CopyRawToHostFuture>([&f](auto& a) {
    auto done = std::make_shared<Promise>();
    a.callback_data = f.make<RawCopy>(&f, done, live_buffer(f, a.buffer)->storage, a.offset, a.transfer_size);
    a.event = event_of(f, done);
    a.future_ready_callback = [](abi::PJRT_Buffer_CopyRawToHostFuture_Callback_Args* told) {
      const auto copy = static_cast<RawCopy*>(told->callback_data)->owner->take<RawCopy>(told->callback_data);
      copy->owner->settle(copy->done, outcome_of(*told), [copy, dst = told->dst] {
        std::memcpy(dst, copy->storage->data + copy->offset, static_cast<std::size_t>(copy->size));
      });
    };
  });
  f.usually<fn::PJRT_Buffer_CopyToDevice>(
      [&f](auto& a) { give(a.dst_buffer, copy_buffer(f, *live_buffer(f, a.buffer), a.dst_device, nullptr)); });
  f.usually<fn::PJRT_Buffer_CopyToMemory>(
      [&f](auto& a) { give(a.dst_buffer, copy_buffer(f, *live_buffer(f, a.buffer), nullptr, a.dst_memory)); });
  f.usually<fn::PJRT_Buffer_Bitcast>([&f](auto& a) {
    const auto source = live_buffer(f, a.buffer);
    const std::vector<std::int64_t> dims(a.dims, a.dims + a.num_dims);
    if (bytes_of(a.element_type, dims) != bytes_of(source->type, source->dims))
      refuse(ErrorCode::InvalidArgument, "the sizes differ");
    Buffer* made = move_buffer(f, *source);
    made->type = a.element_type;
    made->dims = dims;
    give(a.out_buffer, made);
  });
  f.usually<fn::PJRT_Buffer_DonateWithControlDependency>([&f](auto& a) {
    const auto source = live_buffer(f, a.buffer);
    Buffer* made = move_buffer(f, *source);
    made->ready = std::make_shared<Promise>();
    a.callback_data = f.make<Dependency>(&f, source->ready, made->ready);
    a.dependency_ready_callback = [](abi::PJRT_Buffer_DonateWithControlDependency_Callback_Args* told) {
      const auto dependency =
          static_cast<Dependency*>(told->callback_data)->owner->take<Dependency>(told->callback_data);
      dependency->owner->settle(dependency->ready, outcome_of(*told));
    };
    give(a.out_buffer, made);
  });
  f.usually<fn::PJRT_Buffer_IncreaseExternalReferenceCount>([&f](auto& a) {
    const auto buffer = live_buffer(f, a.buffer);
    ++buffer->external_references;
    buffer->referenced = buffer->storage;
  });
  f.usually<fn::PJRT_Buffer_DecreaseExternalReferenceCount>([&f](auto& a) {
    const auto buffer = f.at<Buffer>(a.buffer);
    if (buffer->external_references == 0) refuse(ErrorCode::InvalidArgument, "there is no external reference");
    if (--buffer->external_references == 0) buffer->referenced = nullptr;
  });
  f.usually<fn::PJRT_Buffer_UnsafePointer>(
      [&f](auto& a) { a.buffer_pointer = reinterpret_cast<std::uintptr_t>(live_buffer(f, a.buffer)->storage->data); });
  f.usually<fn::PJRT_Buffer_OpaqueDeviceMemoryDataPointer>([&f](auto& a) {
    const auto buffer = f.at<Buffer>(a.buffer);
    a.device_memory_ptr = (buffer->referenced ? buffer->referenced : live_buffer(f, a.buffer)->storage)->data;
  });
}

}  // namespace pjrt::fake
