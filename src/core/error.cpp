#include "pjrt/error.hpp"

#include <atomic>
#include <new>
#include <ostream>
#include <stdexcept>

#include "core/handle_errors.hpp"
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
  std::size_t context_size = 0;  // of the message's beginning
};

void retain(ErrorState* s) noexcept {
  s->references.fetch_add(1, std::memory_order_relaxed);
}

void release(ErrorState* s) noexcept {
  if (s->references.fetch_sub(1, std::memory_order_acq_rel) == 1) delete s;
}

}  // namespace detail

namespace {

// An error that is passed on in a loop and gains something at each turn must not grow without end.
constexpr std::size_t kMostNotes = 256;
constexpr std::size_t kMostContext = 16384;

/// Made when the library is loaded, so that there is something to answer when there is no memory for an answer.
const Error out_of_memory(ErrorCode::ResourceExhausted, detail::kMemoryExhausted);
const Error unknown_exception(ErrorCode::Internal, "something was thrown that is not a std::exception");

}  // namespace

Error detail::caught() noexcept {
  try {
    try {
      throw;
    } catch (const std::bad_alloc&) {
      return out_of_memory;
    } catch (const std::length_error&) {
      return Error(ErrorCode::ResourceExhausted, "something is too large for the host's memory");
    } catch (const Exception& e) {
      return e.error();
    } catch (const std::exception& e) {
      return Error(ErrorCode::Internal, e.what());
    } catch (...) {
      return unknown_exception;
    }
  } catch (...) {  // no memory for the message
    return out_of_memory;
  }
}

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
    auto copy = detail::Ref<detail::ErrorState>::adopt(new detail::ErrorState);
    if (old != nullptr) {
      copy->code = old->code;
      copy->message = old->message;
      copy->function = old->function;
      copy->payloads = old->payloads;
      copy->notes = old->notes;
      copy->context_size = old->context_size;
    }
    state_ = std::move(copy);
  }
  return *state_;
}

Error Error::with_note(std::string note) const& {
  return Error(*this).with_note(std::move(note));
}

Error Error::with_note(std::string note) && {
  detail::ErrorState& s = own();
  if (s.notes.size() < kMostNotes) s.notes.push_back(std::move(note));
  return std::move(*this);
}

Error Error::with_context(std::string_view context) const& {
  Error copy(*this);
  detail::ErrorState& s = copy.own();
  if (s.context_size + context.size() > kMostContext) return copy;
  s.context_size += context.size();
  s.message = std::string(context) + ": " + s.message;
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
