#pragma once

#include <memory>
#include <utility>

#include "core/event_state.hpp"
#include "pjrt/event.hpp"

namespace pjrt::test {

/// An event without a plugin that becomes ready when the test says so. Uses the inside of `Event::all`.
class PendingEvent {
 public:
  PendingEvent() {
    joined_->pending = 1;
    auto* state = new detail::EventState;
    state->joined = joined_;
    event_ = Event(detail::Ref<detail::EventState>::adopt(state));
  }

  const Event& event() const { return event_; }
  /// Drops the test's own handle of the event.
  void forget() { event_ = Event::ready(); }

  void set(Result<void> outcome = {}) {
    joined_->parts.push_back(Event::ready(std::move(outcome)));
    joined_->part_is_ready();
  }

 private:
  std::shared_ptr<detail::JoinedEvents> joined_ = std::make_shared<detail::JoinedEvents>();
  Event event_ = Event::ready();
};

}  // namespace pjrt::test
