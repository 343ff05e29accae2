#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <initializer_list>
#include <memory>
#include <optional>
#include <ranges>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "pjrt/element_type.hpp"
#include "pjrt/error.hpp"
#include "pjrt/export.hpp"
#include "pjrt/shape.hpp"

namespace pjrt {

/// A contiguous range of elements that an array can be made of: std::vector, std::array, std::span, …
template <class R>
concept ElementRange =
    std::ranges::contiguous_range<R> && std::ranges::sized_range<R> && HostElement<std::ranges::range_value_t<R>>;

/// An array in host memory that somebody else owns: address, element type, dimensions and byte strides.
///
/// Sub-byte types have one element to a byte, in the low bits. A plain value; it does not keep the memory alive, and so
/// none can be made of a temporary range or HostBuffer. A view that was moved from is the empty view: no element of
/// type Invalid.
class PJRT_EXPORT HostView {
 public:
  /// The empty view.
  HostView() : shape_{ElementType::Invalid, {0}}, strides_{0} {}
  /// A dense row-major array of `shape` at `data`. The caller promises that it is there. A shape that no array has
  /// (negative or overflowing dimensions, a type without values) gives a view without elements, which whatever copies
  /// or uploads it refuses; so does an address of null with a shape that has elements.
  HostView(const void* data, Shape shape);
  HostView(const HostView&) = default;
  HostView& operator=(const HostView&) = default;
  HostView(HostView&& other) noexcept : HostView() { swap(other); }
  HostView& operator=(HostView&& other) noexcept {
    HostView taken(std::move(other));
    swap(taken);
    return *this;
  }
  /// Any strides, in bytes: zero (broadcast), negative and gapped ones too. InvalidArgument unless there is one for
  /// each dimension.
  static Result<HostView> strided(const void* data, Shape shape, Dimensions byte_strides);
  /// A dense array of the range's elements. InvalidArgument unless `dims` multiply to their number.
  template <ElementRange R>
  static Result<HostView> of(const R& values, Dimensions dims) {
    using T = std::ranges::range_value_t<R>;
    return checked(std::ranges::data(values), std::ranges::size(values), element_type_of<T>, std::move(dims));
  }
  /// A temporary that owns its elements takes them with it.
  template <ElementRange R>
    requires(!std::is_lvalue_reference_v<R> && !std::ranges::borrowed_range<R>)
  static Result<HostView> of(R&& values, Dimensions dims) = delete;

  const void* data() const noexcept { return data_; }
  const Shape& shape() const noexcept { return shape_; }
  ElementType type() const noexcept { return shape_.type; }
  const Dimensions& dims() const noexcept { return shape_.dims; }
  /// In bytes, outermost dimension first.
  const Dimensions& strides() const noexcept { return strides_; }
  std::int64_t element_count() const noexcept { return count_; }
  /// Row-major without gaps.
  bool is_dense() const noexcept { return dense_; }
  /// The bytes of a dense array; empty for any other.
  std::span<const std::byte> bytes() const noexcept;

  /// Copies the elements in row-major order to `out`, which has room for element_count() of them.
  void copy_to(std::byte* out) const;

 private:
  static Result<HostView> checked(const void* data, std::size_t count, ElementType type, Dimensions dims);
  void swap(HostView& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(shape_, other.shape_);
    std::swap(strides_, other.strides_);
    std::swap(count_, other.count_);
    std::swap(dense_, other.dense_);
  }
  const void* data_ = nullptr;
  Shape shape_;
  Dimensions strides_;
  std::int64_t count_ = 0;
  bool dense_ = true;
};

/// An array in host memory with its owner: the input of uploads and the result of downloads.
///
/// Copies share the memory, as numpy views do; `clone` makes another. Memory that the library allocates is aligned to
/// 64 bytes, so that zero-copy uploads can use it where it lies. Const members may be used from several threads.
///
/// Spans, views and bytes cannot be taken of a temporary HostBuffer. A HostBuffer that was moved from is empty: no
/// element of type Invalid, no memory.
class PJRT_EXPORT HostBuffer {
 public:
  HostBuffer(const HostBuffer&) = default;
  HostBuffer& operator=(const HostBuffer&) = default;
  HostBuffer(HostBuffer&& other) noexcept
      : view_(std::move(other.view_)),
        owner_(std::move(other.owner_)),
        mutable_(std::exchange(other.mutable_, false)) {}
  HostBuffer& operator=(HostBuffer&& other) noexcept {
    view_ = std::move(other.view_);
    owner_ = std::move(other.owner_);
    mutable_ = std::exchange(other.mutable_, false);
    return *this;
  }

  /// Uninitialized memory for a dense array. InvalidArgument for negative or overflowing dimensions, more than kMaxRank
  /// of them, and types without values (token); ResourceExhausted if there is not that much memory.
  static Result<HostBuffer> allocate(Shape shape);
  /// The same, all zero.
  static Result<HostBuffer> zeros(Shape shape);
  /// A dense copy of any view. PRED bytes other than 0 become 1.
  static Result<HostBuffer> copy_of(const HostView& view);
  static Result<HostBuffer> copy_of(const HostBuffer& array) { return copy_of(array.view()); }
  /// A dense copy of a range's elements. InvalidArgument if `dims` ask for another number of them.
  template <ElementRange R>
  static Result<HostBuffer> copy_of(const R& values, Dimensions dims) {
    Result<HostView> view = HostView::of(values, std::move(dims));
    if (!view) return std::unexpected(std::move(view).error());
    return copy_of(*view);
  }
  /// An array without dimensions.
  template <HostElement T>
  static HostBuffer scalar(T value) {
    return *copy_of(HostView(&value, Shape{element_type_of<T>, {}}));
  }
  /// Takes the vector's memory; nothing is copied.
  template <HostElement T>
  static Result<HostBuffer> from_vector(std::vector<T> values, Dimensions dims) {
    return detail::catching([&]() -> Result<HostBuffer> {
      auto owner = std::make_shared<std::vector<T>>(std::move(values));
      Result<HostView> view = HostView::of(*owner, std::move(dims));
      if (!view) return std::unexpected(std::move(view).error());
      return HostBuffer(*std::move(view), std::move(owner), true);
    });
  }
  /// Looks at memory that `owner` keeps alive (null: the caller does). Read-only.
  static HostBuffer borrow(HostView view, std::shared_ptr<const void> owner);

  /// Reads a numpy .npy file (format 1.0, 2.0 or 3.0, either byte order, Fortran order too). numpy writes bfloat16 and
  /// the narrow types as raw bytes of that width ("V2", "V1"); `as` says what they are, and must fit the width.
  /// InvalidArgument for what numpy refuses, for more than kMaxRank dimensions, and for bytes behind the array;
  /// DataLoss if the file is cut off. No memory is taken for an array that a file is too short for.
  static Result<HostBuffer> load(const std::filesystem::path& path, std::optional<ElementType> as = std::nullopt);
  /// The same from memory.
  static Result<HostBuffer> parse_npy(std::span<const std::byte> file, std::optional<ElementType> as = std::nullopt);
  /// Writes a .npy file that `numpy.load` reads; types that only ml_dtypes has become raw bytes, as ml_dtypes has it.
  [[nodiscard]] Result<void> save(const std::filesystem::path& path) const;
  /// The bytes of such a file.
  std::vector<std::byte> to_npy() const;

  const Shape& shape() const& noexcept { return view_.shape(); }
  Shape shape() const&& { return view_.shape(); }
  ElementType type() const noexcept { return view_.type(); }
  const Dimensions& dims() const& noexcept { return view_.dims(); }
  Dimensions dims() const&& { return view_.dims(); }
  std::int64_t element_count() const noexcept { return view_.element_count(); }
  const HostView& view() const& noexcept { return view_; }
  const HostView& view() const&& = delete;
  operator const HostView&() const& noexcept { return view_; }
  operator const HostView&() const&& = delete;
  std::shared_ptr<const void> owner() const noexcept { return owner_; }
  /// Whether the memory may be written through this handle.
  bool is_mutable() const noexcept { return mutable_; }

  /// The elements in row-major order. InvalidArgument if T is not the element type, the array is not dense, or T is
  /// bool and a byte is neither 0 nor 1.
  template <HostElement T>
  Result<std::span<const T>> span() const& {
    if (auto ok = check_access(element_type_of<T>, false); !ok) return std::unexpected(std::move(ok).error());
    return std::span<const T>(static_cast<const T*>(view_.data()), static_cast<std::size_t>(element_count()));
  }
  template <HostElement T>
  Result<std::span<const T>> span() const&& = delete;
  /// The same, writable; FailedPrecondition for borrowed memory. PRED bytes other than 0 become 1.
  template <HostElement T>
  Result<std::span<T>> mutable_span() && = delete;
  template <HostElement T>
  Result<std::span<T>> mutable_span() & {
    if (auto ok = check_access(element_type_of<T>, true); !ok) return std::unexpected(std::move(ok).error());
    return std::span<T>(static_cast<T*>(const_cast<void*>(view_.data())), static_cast<std::size_t>(element_count()));
  }
  /// The bytes of a dense array; empty for any other.
  std::span<const std::byte> bytes() const& noexcept { return view_.bytes(); }
  std::span<const std::byte> bytes() const&& = delete;
  /// The bytes of a dense array that may be written; empty for any other.
  std::span<std::byte> mutable_bytes() & noexcept;
  std::span<std::byte> mutable_bytes() && = delete;

  /// The element at an index; OutOfRange outside, InvalidArgument for another type or number of indices.
  template <HostElement T>
  Result<T> at(std::initializer_list<std::int64_t> index) const {
    Result<const void*> element = address(element_type_of<T>, std::span(index.begin(), index.size()));
    if (!element) return std::unexpected(std::move(element).error());
    if constexpr (std::same_as<T, bool>) return *static_cast<const unsigned char*>(*element) != 0;
    T value;
    std::memcpy(&value, *element, sizeof value);  // strides may lead to any address
    return value;
  }
  /// A copy of the elements in row-major order.
  template <HostElement T>
  Result<std::vector<T>> to_vector() const {
    if (auto ok = check_type(element_type_of<T>); !ok) return std::unexpected(std::move(ok).error());
    return detail::catching([&]() -> Result<std::vector<T>> {
      std::vector<T> values(static_cast<std::size_t>(element_count()));
      if constexpr (std::same_as<T, bool>) {
        std::vector<std::byte> bytes(values.size());
        view_.copy_to(bytes.data());
        for (std::size_t i = 0; i < values.size(); ++i) values[i] = bytes[i] != std::byte{0};
      } else {
        view_.copy_to(reinterpret_cast<std::byte*>(values.data()));
      }
      return values;
    });
  }

  /// A dense copy with memory of its own.
  Result<HostBuffer> clone() const;
  /// This array if it is dense, else a dense copy.
  Result<HostBuffer> dense() const;
  /// The same elements under other dimensions; InvalidArgument unless they have the same number.
  Result<HostBuffer> reshape(Dimensions dims) const;
  /// The same bytes as another element type of the same width on the host, e.g. raw 16-bit words as bfloat16. As PRED,
  /// a copy with bytes of 0 and 1 unless they are that already.
  Result<HostBuffer> reinterpret(ElementType type) const;

 private:
  HostBuffer(HostView view, std::shared_ptr<const void> owner, bool is_mutable)
      : view_(std::move(view)), owner_(std::move(owner)), mutable_(is_mutable) {}
  [[nodiscard]] Result<void> check_type(ElementType type) const;
  [[nodiscard]] Result<void> check_access(ElementType type, bool write) const;
  Result<const void*> address(ElementType type, std::span<const std::int64_t> index) const;

  HostView view_;
  std::shared_ptr<const void> owner_;
  bool mutable_ = false;
};

/// A HostBuffer whose element type is known at compile time, so that access needs no check.
template <HostElement T>
class TypedHostBuffer {
 public:
  /// InvalidArgument if the buffer's elements are not T. A buffer that is not dense is copied.
  static Result<TypedHostBuffer> from(const HostBuffer& buffer) {
    Result<HostBuffer> dense = buffer.dense();
    if (!dense) return std::unexpected(std::move(dense).error());
    if (auto span = dense->template span<T>(); !span) return std::unexpected(std::move(span).error());
    return TypedHostBuffer(*std::move(dense));
  }
  /// See HostBuffer::from_vector.
  static Result<TypedHostBuffer> from_vector(std::vector<T> values, Dimensions dims) {
    auto buffer = HostBuffer::from_vector(std::move(values), std::move(dims));
    if (!buffer) return std::unexpected(std::move(buffer).error());
    return TypedHostBuffer(*std::move(buffer));
  }

  const HostBuffer& untyped() const& noexcept { return buffer_; }
  HostBuffer untyped() && noexcept { return std::move(buffer_); }
  operator const HostBuffer&() const& noexcept { return buffer_; }
  operator HostBuffer() && noexcept { return std::move(buffer_); }
  const Dimensions& dims() const& noexcept { return buffer_.dims(); }
  Dimensions dims() const&& { return buffer_.dims(); }
  std::span<const T> span() const& noexcept {
    return {static_cast<const T*>(buffer_.view().data()), static_cast<std::size_t>(buffer_.element_count())};
  }
  std::span<const T> span() const&& = delete;
  /// Element `i`; a zero if there is none. `span()` gives access without that check.
  T operator[](std::size_t i) const noexcept { return i < span().size() ? span()[i] : T{}; }

 private:
  explicit TypedHostBuffer(HostBuffer buffer) : buffer_(std::move(buffer)) {}
  HostBuffer buffer_;
};

}  // namespace pjrt
