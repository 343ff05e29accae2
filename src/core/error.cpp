#include "pjrt/error.hpp"

#include <atomic>
#include <ostream>

#include "pjrt/abi/tables.hpp"

namespace pjrt {

namespace detail {

struct ErrorState {
  std::atomic<int> references{1};
  ErrorCode code = ErrorCode::Unknown;
  std::string message;
  std::string function;
  std::vector<ErrorPayload> payloads;
  std::vector<std::string> notes;
};

void retain(ErrorState* s) noexcept {
  s->references.fetch_add(1, std::memory_order_relaxed);
}

void release(ErrorState* s) noexcept {
  if (s->references.fetch_sub(1, std::memory_order_acq_rel) == 1) delete s;
}

}  // namespace detail

std::string_view name(ErrorCode code) noexcept {
  const std::string_view known = abi::enumerator_name(static_cast<abi::PJRT_Error_Code>(code));
  return known.empty() ? "UNKNOWN" : known;
}

Error::Error(ErrorCode code, std::string message)
    : state_(detail::Ref<detail::ErrorState>::adopt(new detail::ErrorState)) {
  state_->code = code == ErrorCode::Ok ? ErrorCode::Unknown : code;
  state_->message = std::move(message);
}

ErrorCode Error::code() const noexcept {
  return state_ ? state_->code : ErrorCode::Unknown;
}
std::string_view Error::message() const& noexcept {
  return state_ ? std::string_view(state_->message) : "";
}
std::string_view Error::function() const& noexcept {
  return state_ ? std::string_view(state_->function) : "";
}

std::span<const ErrorPayload> Error::payloads() const& noexcept {
  return state_ ? std::span<const ErrorPayload>(state_->payloads) : std::span<const ErrorPayload>();
}

std::span<const std::string> Error::notes() const& noexcept {
  return state_ ? std::span<const std::string>(state_->notes) : std::span<const std::string>();
}

detail::ErrorState& Error::own() {
  const detail::ErrorState* old = state_.get();
  if (old == nullptr || old->references.load(std::memory_order_acquire) != 1) {
    auto* copy = new detail::ErrorState;
    if (old != nullptr) {
      copy->code = old->code;
      copy->message = old->message;
      copy->function = old->function;
      copy->payloads = old->payloads;
      copy->notes = old->notes;
    }
    state_ = detail::Ref<detail::ErrorState>::adopt(copy);
  }
  return *state_;
}

Error Error::with_note(std::string note) const& {
  return Error(*this).with_note(std::move(note));
}

Error Error::with_note(std::string note) && {
  own().notes.push_back(std::move(note));
  return std::move(*this);
}

Error Error::with_context(std::string_view context) const& {
  Error copy(*this);
  copy.own().message = std::string(context) + ": " + copy.own().message;
  return copy;
}

Error Error::with_function(std::string_view function) && {
  own().function = function;
  return std::move(*this);
}

Error Error::with_payloads(std::vector<ErrorPayload> payloads) && {
  own().payloads = std::move(payloads);
  return std::move(*this);
}

std::string to_string(const Error& error) {
  std::string text(name(error.code()));
  text += ": ";
  text += error.message();
  if (!error.function().empty()) {
    text += " (";
    text += error.function();
    text += ")";
  }
  for (const std::string& note : error.notes()) {
    text += "\n  ";
    text += note;
  }
  return text;
}

std::ostream& operator<<(std::ostream& out, const Error& error) {
  return out << to_string(error);
}

}  // namespace pjrt
