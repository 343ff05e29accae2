#include "pjrt/host_buffer.hpp"

#include <cstdlib>
#include <cstring>
#include <new>

#include "core/handle_errors.hpp"
#include "core/pred.hpp"
#include "core/try.hpp"

namespace pjrt {
namespace {

constexpr std::size_t kAlignment = 64;  // what CPU plugins want before they use host memory in place

Error wrong_type(ElementType wanted, ElementType have) {
  return Error(ErrorCode::InvalidArgument,
               "the array holds " + std::string(name(have)) + ", not " + std::string(name(wanted)));
}

Result<void> check_array(const Shape& shape) {
  if (shape.rank() > kMaxRank) {
    return std::unexpected(Error(ErrorCode::InvalidArgument, "an array of " + std::to_string(shape.rank()) +
                                                                 " dimensions; at most " + std::to_string(kMaxRank) +
                                                                 " are supported"));
  }
  if (!host_byte_size(shape) || host_size(shape.type) == 0)
    return std::unexpected(Error(ErrorCode::InvalidArgument, "no array has the shape " + pjrt::to_string(shape)));
  return {};
}

/// Copies one dimension and those inside it; `T` is a word of the element's size.
template <class T>
void copy_strided(const std::byte* from, std::byte*& to, std::span<const std::int64_t> dims,
                  std::span<const std::int64_t> strides) {
  if (dims.empty()) {
    std::memcpy(to, from, sizeof(T));
    to += sizeof(T);
    return;
  }
  if (dims.size() == 1) {
    const std::int64_t stride = strides[0];
    if (stride == static_cast<std::int64_t>(sizeof(T))) {
      std::memcpy(to, from, sizeof(T) * static_cast<std::size_t>(dims[0]));
      to += sizeof(T) * static_cast<std::size_t>(dims[0]);
      return;
    }
    for (std::int64_t i = 0; i < dims[0]; ++i, to += sizeof(T)) std::memcpy(to, from + i * stride, sizeof(T));
    return;
  }
  for (std::int64_t i = 0; i < dims[0]; ++i)
    copy_strided<T>(from + i * strides[0], to, dims.subspan(1), strides.subspan(1));
}

bool is_dense_and_normal(const HostView& preds) {
  return preds.is_dense() && detail::preds_are_normal(preds.bytes());
}

bool strides_are_dense(const Shape& shape, const Dimensions& strides) {
  if (element_count(shape.dims) == 0) return true;
  std::int64_t expected = static_cast<std::int64_t>(host_size(shape.type));
  for (std::size_t i = shape.rank(); i-- > 0;) {
    if (shape.dims[i] != 1 && strides[i] != expected) return false;
    expected *= shape.dims[i];
  }
  return true;
}

}  // namespace

HostView::HostView(const void* data, Shape shape) : shape_(std::move(shape)) {
  if (!host_byte_size(shape_) || host_size(shape_.type) == 0) return;  // no array: no elements
  data_ = data;
  strides_ = row_major_strides(shape_.dims, host_size(shape_.type));
  count_ = *pjrt::element_count(shape_.dims);
}

Result<HostView> HostView::strided(const void* data, Shape shape, Dimensions byte_strides) try {
  if (byte_strides.size() != shape.rank()) {
    return std::unexpected(Error(ErrorCode::InvalidArgument, std::to_string(byte_strides.size()) +
                                                                 " strides for an array of shape " + to_string(shape)));
  }
  PJRT_CHECK(check_array(shape));
  HostView view(data, std::move(shape));
  view.dense_ = strides_are_dense(view.shape_, byte_strides);
  view.strides_ = std::move(byte_strides);
  return view;
}
PJRT_CATCH

Result<HostView> HostView::checked(const void* data, std::size_t count, ElementType type, Dimensions dims) try {
  const std::optional<std::int64_t> wanted = pjrt::element_count(dims);
  if (!wanted || static_cast<std::uint64_t>(*wanted) != count) {
    return std::unexpected(
        Error(ErrorCode::InvalidArgument,
              std::to_string(count) + " elements do not make an array of dimensions " + to_string(dims)));
  }
  Shape shape{type, std::move(dims)};
  PJRT_CHECK(check_array(shape));
  return HostView(data, std::move(shape));
}
PJRT_CATCH

std::span<const std::byte> HostView::bytes() const noexcept {
  if (!dense_ || data_ == nullptr) return {};
  return {static_cast<const std::byte*>(data_), static_cast<std::size_t>(count_) * host_size(shape_.type)};
}

void HostView::copy_to(std::byte* out) const {
  if (count_ == 0 || data_ == nullptr) return;
  if (dense_) {
    std::memcpy(out, data_, bytes().size());
    return;
  }
  const auto* from = static_cast<const std::byte*>(data_);
  switch (host_size(shape_.type)) {
    case 1:
      return copy_strided<std::uint8_t>(from, out, shape_.dims, strides_);
    case 2:
      return copy_strided<std::uint16_t>(from, out, shape_.dims, strides_);
    case 4:
      return copy_strided<std::uint32_t>(from, out, shape_.dims, strides_);
    case 8:
      return copy_strided<std::uint64_t>(from, out, shape_.dims, strides_);
    default:
      return copy_strided<complex128>(from, out, shape_.dims, strides_);
  }
}

Result<HostBuffer> HostBuffer::allocate(Shape shape) try {
  PJRT_CHECK(check_array(shape));
  const std::size_t size = (static_cast<std::size_t>(*host_byte_size(shape)) + kAlignment) / kAlignment * kAlignment;
  void* memory = std::aligned_alloc(kAlignment, size);
  if (memory == nullptr) {
    return std::unexpected(Error(ErrorCode::ResourceExhausted, "no host memory for " + pjrt::to_string(shape) + " (" +
                                                                   std::to_string(size) + " bytes)"));
  }
  std::shared_ptr<const void> owner(memory, [](void* p) { std::free(p); });
  return HostBuffer(HostView(memory, std::move(shape)), std::move(owner), true);
}
PJRT_CATCH

Result<HostBuffer> HostBuffer::zeros(Shape shape) try {
  Result<HostBuffer> buffer = allocate(std::move(shape));
  if (buffer) std::memset(buffer->mutable_bytes().data(), 0, buffer->bytes().size());
  return buffer;
}
PJRT_CATCH

Result<HostBuffer> HostBuffer::copy_of(const HostView& view) try {
  PJRT_TRY(HostBuffer buffer, allocate(view.shape()));
  if (view.data() == nullptr && view.element_count() > 0) {
    return std::unexpected(
        Error(ErrorCode::InvalidArgument, "the address of the array " + pjrt::to_string(view.shape()) + " is null"));
  }
  view.copy_to(buffer.mutable_bytes().data());
  if (view.type() == ElementType::Pred) detail::normalize_preds(buffer.mutable_bytes());
  return buffer;
}
PJRT_CATCH

HostBuffer HostBuffer::borrow(HostView view, std::shared_ptr<const void> owner) {
  return {std::move(view), std::move(owner), false};
}

std::span<std::byte> HostBuffer::mutable_bytes() & noexcept {
  if (!mutable_) return {};
  const std::span<const std::byte> all = view_.bytes();
  return {const_cast<std::byte*>(all.data()), all.size()};
}

Result<void> HostBuffer::check_type(ElementType type) const try {
  if (this->type() == ElementType::Invalid) return std::unexpected(detail::moved_from("array"));
  if (view_.data() == nullptr && element_count() > 0) {
    return std::unexpected(
        Error(ErrorCode::InvalidArgument, "the address of the array " + pjrt::to_string(shape()) + " is null"));
  }
  if (type != this->type()) return std::unexpected(wrong_type(type, this->type()));
  return {};
}
PJRT_CATCH

Result<void> HostBuffer::check_access(ElementType type, bool write) const try {
  PJRT_CHECK(check_type(type));
  if (!view_.is_dense()) {
    return std::unexpected(Error(ErrorCode::InvalidArgument,
                                 "the array " + pjrt::to_string(shape()) + " is not dense; take dense() of it"));
  }
  if (write && !mutable_)
    return std::unexpected(Error(ErrorCode::FailedPrecondition, "the array's memory is borrowed and read-only"));
  if (type == ElementType::Pred && !detail::preds_are_normal(view_.bytes())) {
    if (!write) {
      return std::unexpected(
          Error(ErrorCode::InvalidArgument, "the array " + pjrt::to_string(shape()) +
                                                " has bytes other than 0 and 1, which no bool may have; take clone() "
                                                "of it, where they become 1"));
    }
    auto* memory =
        static_cast<std::byte*>(const_cast<void*>(view_.data()));  // of allocate, which leaves anything in it
    detail::normalize_preds({memory, view_.bytes().size()});
  }
  return {};
}
PJRT_CATCH

Result<const void*> HostBuffer::address(ElementType type, std::span<const std::int64_t> index) const try {
  PJRT_CHECK(check_type(type));
  if (index.size() != shape().rank()) {
    return std::unexpected(
        Error(ErrorCode::InvalidArgument,
              std::to_string(index.size()) + " indices for an array of shape " + pjrt::to_string(shape())));
  }
  const auto* at = static_cast<const std::byte*>(view_.data());
  for (std::size_t i = 0; i < index.size(); ++i) {
    if (index[i] < 0 || index[i] >= dims()[i] || element_count() == 0) {
      return std::unexpected(Error(ErrorCode::OutOfRange, "index " + pjrt::to_string(Dimensions(index)) +
                                                              " lies outside " + pjrt::to_string(shape())));
    }
    at += index[i] * view_.strides()[i];
  }
  return at;
}
PJRT_CATCH

Result<HostBuffer> HostBuffer::clone() const try { return copy_of(view_); }
PJRT_CATCH

Result<HostBuffer> HostBuffer::dense() const try {
  PJRT_CHECK(check_type(type()));
  if (view_.is_dense()) return *this;
  return clone();
}
PJRT_CATCH

Result<HostBuffer> HostBuffer::reshape(Dimensions dims) const try {
  if (pjrt::element_count(dims) != element_count()) {
    return std::unexpected(Error(ErrorCode::InvalidArgument, "an array of shape " + pjrt::to_string(shape()) +
                                                                 " cannot become " + pjrt::to_string(dims)));
  }
  PJRT_TRY(HostBuffer whole, dense());
  whole.view_ = HostView(whole.view_.data(), Shape{type(), std::move(dims)});
  return whole;
}
PJRT_CATCH

Result<HostBuffer> HostBuffer::reinterpret(ElementType type) const try {
  if (host_size(type) != host_size(this->type()) || host_size(type) == 0) {
    return std::unexpected(
        Error(ErrorCode::InvalidArgument, "elements of " + std::string(name(this->type())) + " (" +
                                              std::to_string(host_size(this->type())) + " bytes) cannot be read as " +
                                              std::string(name(type)) + " (" + std::to_string(host_size(type)) + ")"));
  }
  HostBuffer other = *this;
  PJRT_TRY(other.view_, HostView::strided(view_.data(), Shape{type, dims()}, view_.strides()));
  if (type == ElementType::Pred && this->type() != ElementType::Pred) {
    if (!is_dense_and_normal(other.view_)) return other.clone();  // a copy, whose bytes are 0 and 1
  }
  return other;
}
PJRT_CATCH

}  // namespace pjrt
