// Transfer managers, and the streams that receive callbacks fill.

#include <algorithm>

#include "fake_plugin/objects.hpp"
#include "fake_plugin/run.hpp"

namespace pjrt::fake {
namespace {

namespace fn = abi::fn;

struct Manager {
  static constexpr auto kKind = "transfer manager";
  struct Slot {
    Buffer buffer;
    bool retrieved = false;
    bool finished = false;
  };
  std::shared_ptr<Client> client;
  abi::PJRT_Device* device = nullptr;
  std::vector<Slot> slots = {};
  std::vector<std::string> metadata = {};
};

/// Real plugins crash at indices out of range, second retrievals and second ends.
Manager::Slot& slot(Manager& manager, int index) {
  if (index < 0 || static_cast<std::size_t>(index) >= manager.slots.size())
    throw Fault{"there is no buffer " + std::to_string(index)};
  return manager.slots[static_cast<std::size_t>(index)];
}

void finish(Manager::Slot& slot) {
  if (std::exchange(slot.finished, true)) throw Fault{"the buffer is finished already"};
}

abi::PJRT_Event* transfer(FakePlugin& f, Manager::Slot& slot, const void* data, std::int64_t offset, std::size_t size,
                          bool last) {
  const auto storage = slot.buffer.storage;
  if (offset < 0 || static_cast<std::size_t>(offset) + size > storage->size) {
    refuse(ErrorCode::InvalidArgument, "the range is not in the buffer");
  }
  if (last) finish(slot);
  auto done = std::make_shared<Promise>();
  f.settle(done, {}, [=] { std::memcpy(storage->data + offset, data, size); });
  if (last) f.settle(slot.buffer.ready);
  return event_of(f, done);
}

}  // namespace

void answer_transfers(FakePlugin& f) {
  f.usually<fn::PJRT_Client_CreateBuffersForAsyncHostToDevice>([&f](auto& a) {
    auto* manager = f.make<Manager>(f.at<Client>(a.client));
    give(a.transfer_manager, manager);
    manager->device = f.at<Memory>(a.memory)->devices.front();
    for (std::size_t i = 0; i < a.num_shape_specs; ++i) {
      const abi::PJRT_ShapeSpec& spec = a.shape_specs[i];
      const auto* layout = i < a.num_device_layouts ? a.device_layouts[i] : nullptr;
      Buffer b = new_buffer(f, a.client, nullptr, a.memory, spec.element_type, spec.dims, spec.num_dims, layout);
      b.storage = std::make_shared<Storage>(bytes_of(b.type, b.dims));
      b.ready = std::make_shared<Promise>();
      manager->slots.push_back({std::move(b)});
    }
  });
  f.usually<fn::PJRT_AsyncHostToDeviceTransferManager_Destroy>([&f](auto& a) {
    const auto manager = f.take<Manager>(a.transfer_manager);
    for (Manager::Slot& s : manager->slots) {
      if (!s.finished) s.buffer.ready->set(Failure{ErrorCode::Internal, "the transfer manager is gone"});
    }
  });
  f.usually<fn::PJRT_AsyncHostToDeviceTransferManager_TransferData>([&f](auto& a) {
    const auto manager = f.at<Manager>(a.transfer_manager);
    a.done_with_h2d_transfer = transfer(f, slot(*manager, a.buffer_index), a.data, a.offset,
                                        static_cast<std::size_t>(a.transfer_size), a.is_last_transfer);
  });
  f.usually<fn::PJRT_AsyncHostToDeviceTransferManager_TransferLiteral>([&f](auto& a) {
    const auto manager = f.at<Manager>(a.transfer_manager);
    if (a.shape_layout == nullptr) throw Fault{"the layout is null"};
    const std::size_t size = bytes_of(a.shape_element_type, {a.shape_dims, a.shape_dims + a.shape_num_dims});
    a.done_with_h2d_transfer = transfer(f, slot(*manager, a.buffer_index), a.data, 0, size, true);
  });
  f.usually<fn::PJRT_AsyncHostToDeviceTransferManager_RetrieveBuffer>([&f](auto& a) {
    const auto manager = f.at<Manager>(a.transfer_manager);
    Manager::Slot& s = slot(*manager, a.buffer_index);
    if (std::exchange(s.retrieved, true)) throw Fault{"the buffer is retrieved already"};
    give(a.buffer_out, f.make<Buffer>(s.buffer));
  });
  f.usually<fn::PJRT_AsyncHostToDeviceTransferManager_Device>(
      [&f](auto& a) { a.device_out = f.at<Manager>(a.transfer_manager)->device; });
  f.usually<fn::PJRT_AsyncHostToDeviceTransferManager_BufferCount>(
      [&f](auto& a) { a.buffer_count = f.at<Manager>(a.transfer_manager)->slots.size(); });
  f.usually<fn::PJRT_AsyncHostToDeviceTransferManager_BufferSize>([&f](auto& a) {
    const auto manager = f.at<Manager>(a.transfer_manager);
    a.buffer_size = slot(*manager, a.buffer_index).buffer.storage->size;
  });
  f.usually<fn::PJRT_AsyncHostToDeviceTransferManager_SetBufferError>([&f](auto& a) {
    const auto manager = f.at<Manager>(a.transfer_manager);
    Manager::Slot& s = slot(*manager, a.buffer_index);
    finish(s);
    f.settle(s.buffer.ready,
             Failure{static_cast<ErrorCode>(a.error_code), text(a.error_message, a.error_message_size)});
  });
  f.usually<fn::PJRT_AsyncHostToDeviceTransferManager_AddMetadata>([&f](auto& a) {
    const auto manager = f.at<Manager>(a.transfer_manager);
    for (std::size_t i = 0; i < a.num_metadata; ++i) {
      if (a.transfer_metadata[i].type != abi::PJRT_NamedValue_kString) throw Fault{"the metadata is no string"};
    }
  });

  f.usually<fn::PJRT_CopyToDeviceStream_Destroy>([&f](auto& a) { f.take<Stream>(a.stream); });
  f.usually<fn::PJRT_CopyToDeviceStream_TotalBytes>(
      [&f](auto& a) { a.total_bytes = f.at<Stream>(a.stream)->received->total; });
  f.usually<fn::PJRT_CopyToDeviceStream_GranuleSize>(
      [&f](auto& a) { a.granule_size_in_bytes = f.at<Stream>(a.stream)->received->granule; });
  f.usually<fn::PJRT_CopyToDeviceStream_CurrentBytes>(
      [&f](auto& a) { a.current_bytes = static_cast<std::int64_t>(f.at<Stream>(a.stream)->received->bytes.size()); });
  f.usually<fn::PJRT_CopyToDeviceStream_AddChunk>([&f](auto& a) {
    const std::shared_ptr<Received> received = f.at<Stream>(a.stream)->received;
    // From here on the chunk is the plugin's, whatever comes of it.
    const auto chunk = std::shared_ptr<abi::PJRT_Chunk>(new abi::PJRT_Chunk(*a.chunk), [](abi::PJRT_Chunk* c) {
      c->deleter(c->data, c->deleter_arg);
      delete c;
    });
    if (static_cast<std::int64_t>(received->bytes.size() + chunk->size) > received->total)
      refuse(ErrorCode::InvalidArgument, "too many bytes");
    received->bytes.append(static_cast<const char*>(chunk->data), chunk->size);
    auto done = std::make_shared<Promise>();
    f.settle(done, {}, [chunk] {});
    a.transfer_complete = event_of(f, done);
  });
}

}  // namespace pjrt::fake
