#pragma once

#include <memory>
#include <utility>

#include "core/event_state.hpp"
#include "pjrt/event.hpp"

namespace pjrt::test {

/// An event without a plugin that becomes ready when the test says so.
class PendingEvent {
 public:
  PendingEvent() {
    auto* state = new detail::EventState;
    state->completion = completion_;
    event_ = Event(detail::Ref<detail::EventState>::adopt(state));
  }

  const Event& event() const { return event_; }
  /// Drops the test's own handle of the event.
  void forget() { event_ = Event::ready(); }

  void set(Result<void> outcome = {}) { completion_->set(std::move(outcome)); }

 private:
  std::shared_ptr<detail::Completion> completion_ = std::make_shared<detail::Completion>();
  Event event_ = Event::ready();
};

}  // namespace pjrt::test
