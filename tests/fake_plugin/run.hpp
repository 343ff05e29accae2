#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "fake_plugin/fake.hpp"

namespace pjrt::fake {

/// What a CopyToDeviceStream received; outlives it.
struct Received {
  std::int64_t total = 0;
  std::int64_t granule = 1;
  std::string bytes;
};

/// The object behind a PJRT_CopyToDeviceStream.
struct Stream {
  static constexpr auto kKind = "stream";
  std::shared_ptr<Received> received;
};

/// One execution of a program, on all its devices.
class Run : public std::enable_shared_from_this<Run> {
 public:
  Run(FakePlugin& fake, const abi::PJRT_ExecuteOptions& options, std::size_t num_devices)
      : launch_id(options.launch_id), arguments(num_devices), outputs(num_devices), fake_(fake) {
    // The arrays are the caller's only during the call.
    for (std::size_t d = 0; d < num_devices; ++d) {
      for (std::size_t i = 0; i < options.num_send_ops; ++i) sends_.emplace_back(d, options.send_callbacks[d][i]);
      for (std::size_t i = 0; i < options.num_recv_ops; ++i) receives_.emplace_back(d, options.recv_callbacks[d][i]);
    }
    if (options.num_hlo_output_callbacks > 0) {
      output_callbacks_.assign(options.hlo_output_callbacks,
                               options.hlo_output_callbacks + options.num_hlo_output_callbacks);
    }
  }

  const int launch_id;
  /// Bytes of the arguments and places for the outputs, by device and index.
  std::vector<std::vector<std::string>> arguments;
  std::vector<std::vector<std::span<std::byte>>> outputs;

  template <class T>
  std::vector<T> argument(std::size_t i, std::size_t device = 0) const {
    const std::string& bytes = arguments[device][i];
    std::vector<T> values(bytes.size() / sizeof(T));
    std::memcpy(values.data(), bytes.data(), values.size() * sizeof(T));
    return values;
  }
  template <class T>
  std::span<T> output(std::size_t i, std::size_t device = 0) const {
    const std::span<std::byte> bytes = outputs[device][i];
    return {reinterpret_cast<T*>(bytes.data()), bytes.size() / sizeof(T)};
  }

  /// Gives a chunk to the send callback of a channel.
  Outcome send(std::int64_t channel, const std::string& bytes, std::size_t total, bool done, std::size_t device = 0) {
    auto* memory = fake_.make<Memory>(&fake_, bytes);
    abi::PJRT_Chunk chunk{memory->bytes.data(), memory->bytes.size(),
                          [](void*, void* arg) { static_cast<Memory*>(arg)->owner->drop(arg, Memory::kKind); }, memory};
    abi::PJRT_CallbackError make_error = fake_.callback_error;  // this pointer is only valid during the call
    const auto& info = find(sends_, device, channel);
    return fake_.take_error(info.send_callback(&chunk, &make_error, total, done, info.user_arg));
  }
  /// Asks the receive callback of a channel for bytes; it fills the stream now or later.
  std::shared_ptr<Received> receive(std::int64_t channel, std::int64_t total, std::int64_t granule = 1,
                                    std::size_t device = 0) {
    auto received = std::make_shared<Received>(Received{total, granule, {}});
    auto* stream = fake_.make<Stream>(received);
    const auto& info = find(receives_, device, channel);
    info.recv_callback(reinterpret_cast<abi::PJRT_CopyToDeviceStream*>(stream), info.user_arg);
    return received;
  }
  /// Shows an array to the output callback of that number.
  void show(std::int64_t callback, std::int64_t replica, std::int64_t partition, const void* data,
            const std::vector<std::int64_t>& dims, abi::PJRT_Buffer_Type type, std::int64_t operand) {
    for (const abi::PJRT_HloOutputCallbackInfo& info : output_callbacks_) {
      if (info.callback_id == callback) {
        info.callback(replica, partition, data, dims.data(), dims.size(), type, operand, info.user_arg);
      }
    }
  }

  /// The program goes on after the call, until `finish`.
  void later() { later_ = true; }
  bool is_later() const { return later_; }
  void finish(Outcome outcome = {}) { fake_.settle(done, std::move(outcome)); }
  const std::shared_ptr<Promise> done = std::make_shared<Promise>();

 private:
  struct Memory {
    static constexpr auto kKind = "chunk";
    FakePlugin* owner;
    std::string bytes;
  };
  template <class Info>
  const Info& find(const std::vector<std::pair<std::size_t, Info>>& infos, std::size_t device, std::int64_t channel) {
    for (const auto& [d, info] : infos) {
      if (d == device && info.channel_id == channel) return info;
    }
    throw Fault{"no callback for channel " + std::to_string(channel)};
  }

  FakePlugin& fake_;
  std::vector<std::pair<std::size_t, abi::PJRT_SendCallbackInfo>> sends_;
  std::vector<std::pair<std::size_t, abi::PJRT_RecvCallbackInfo>> receives_;
  std::vector<abi::PJRT_HloOutputCallbackInfo> output_callbacks_;
  bool later_ = false;
};

}  // namespace pjrt::fake
