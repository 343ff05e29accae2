#include <mutex>
#include <vector>

#include "core/call.hpp"
#include "core/try.hpp"
#include "pjrt/execute_options.hpp"

namespace pjrt {

struct ExecuteContext::State {
  const detail::PluginState* plugin = nullptr;
  abi::PJRT_ExecuteContext* raw = nullptr;
  std::mutex mutex;
  std::vector<std::shared_ptr<void>> attachments;

  ~State() {
    if (raw != nullptr) detail::call_quietly<abi::fn::PJRT_ExecuteContext_Destroy>(*plugin, {.context = raw});
  }
};

ExecuteContext::ExecuteContext(std::shared_ptr<State> state) noexcept : state_(std::move(state)) {}

Result<ExecuteContext> ExecuteContext::create(const Plugin& plugin) try {
  PJRT_TRY(const auto args, detail::call<abi::fn::PJRT_ExecuteContext_Create>(plugin.state(), {}));
  auto state = std::make_shared<State>();
  state->plugin = &plugin.state();
  state->raw = args.context;
  return ExecuteContext(std::move(state));
}
PJRT_CATCH

Plugin ExecuteContext::plugin() const noexcept {
  return Plugin(state_->plugin);
}
abi::PJRT_ExecuteContext* ExecuteContext::raw() const noexcept {
  return state_->raw;
}
std::shared_ptr<void> ExecuteContext::owner() const noexcept {
  return state_;
}

void ExecuteContext::attach(std::shared_ptr<void> what) const {
  const std::lock_guard lock(state_->mutex);
  state_->attachments.push_back(std::move(what));
}

}  // namespace pjrt
