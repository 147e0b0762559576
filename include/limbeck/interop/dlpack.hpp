#ifndef LIMBECK_INTEROP_DLPACK_HPP
#define LIMBECK_INTEROP_DLPACK_HPP

/// @file
/// DLPack in both directions: tensors of PyTorch, JAX, CuPy, NumPy, TVM, without a copy.
///
/// A `DLTensor` or a `DLManagedTensor` stands in a call where a tensor can, `dlpack_tensor` owns one, and `to_dlpack`
/// gives memory away. All copies of dlpack.h share one include guard, so LibTorch's (`<ATen/dlpack.h>`) serves as well:
/// include it before.

#if !defined(DLPACK_DLPACK_H_)
#if __has_include(<dlpack/dlpack.h>)
#include <dlpack/dlpack.h>
#elif __has_include(<ATen/dlpack.h>)
#include <ATen/dlpack.h>
#else
#error "limbeck: <limbeck/dlpack.hpp> needs dlpack/dlpack.h (Debian: libdlpack-dev)"
#endif
#endif

#include <limbeck/core/any_tensor.hpp>

#include <memory>
#include <utility>

LIMBECK_BEGIN_NAMESPACE

namespace detail {

inline element_type element_type_from(const DLDataType& t) {
  using enum element_type;
  if (t.lanes != 1) return none;
  const auto size = t.bits == 8 ? 0 : t.bits == 16 ? 1 : t.bits == 32 ? 2 : t.bits == 64 ? 3 : 4;
  constexpr element_type whole[2][5] = {{int8, int16, int32, int64, none}, {uint8, uint16, uint32, uint64, none}};
  constexpr element_type real[5] = {none, float16, float32, float64, none};
  switch (t.code) {  // by number: older headers lack the last names
    case 0:
    case 1: return whole[t.code][size];
    case 2: return real[size];
    case 4: return size == 1 ? bfloat16 : none;
    case 6: return size == 0 ? boolean : none;
    default: return none;
  }
}
inline DLDataType to_dlpack_type(element_type e) {
  using enum element_type;
  const auto code = e == boolean ? 6 : e == bfloat16 ? 4 : e >= float16 ? 2 : 1;
  const bool with_sign = e == int8 || e == int16 || e == int32 || e == int64;
  return {static_cast<std::uint8_t>(with_sign ? 0 : code), static_cast<std::uint8_t>(8 * size_of(e)), 1};
}
inline memory_kind memory_from(const DLDevice& d) {
  switch (static_cast<int>(d.device_type)) {
    case 1:                             // the CPU,
    case 3:                             // pinned
    case 13: return memory_kind::host;  // and managed memory are read by the host
    case 2: return memory_kind::cuda;
    default: return memory_kind::other;
  }
}

}  // namespace detail

/// A DLPack tensor as a view. Strides and offset are honoured; host, pinned and managed memory count as the host's. A
/// vectorised type (lanes) becomes `element_type::none`, which no call takes. @throws shape_error beyond 8 dimensions.
inline any_tensor as_any_tensor(const DLTensor& x) {
  any_tensor::check_rank(static_cast<std::size_t>(x.ndim));
  any_tensor out;
  out.data = static_cast<std::byte*>(x.data) + x.byte_offset;
  out.type = detail::element_type_from(x.dtype);
  out.memory = detail::memory_from(x.device);
  out.read_only = false;
  out.rank = static_cast<std::size_t>(x.ndim);
  std::ptrdiff_t step = 1;
  for (std::size_t i = out.rank; i-- > 0;) {
    out.shape[i] = static_cast<std::ptrdiff_t>(x.shape[i]);
    out.strides[i] = x.strides ? static_cast<std::ptrdiff_t>(x.strides[i]) : step;
    step *= out.shape[i];
  }
  return out;
}

template <>
struct any_tensor_traits<DLTensor> {
  static any_tensor view(const DLTensor& x) { return as_any_tensor(x); }
};
template <>
struct any_tensor_traits<DLManagedTensor> {
  static any_tensor view(const DLManagedTensor& x) { return as_any_tensor(x.dl_tensor); }
};

/// Owns what another library gave away: calls its deleter at the end. Movable, not copyable.
class dlpack_tensor {
 public:
  /// Nothing.
  dlpack_tensor() = default;
  /// Takes @p managed over; the capsule that it came in is to be marked as used by whoever holds it.
  explicit dlpack_tensor(DLManagedTensor* managed) : owner_(managed, [](void* p) { release<DLManagedTensor>(p); }) {
    if (managed) view_ = as_any_tensor(managed->dl_tensor);
  }
#if defined(DLPACK_MAJOR_VERSION)
  /// The same for DLPack 1: refused where its major version is another; its read-only flag is kept.
  /// @throws value_error
  explicit dlpack_tensor(DLManagedTensorVersioned* managed)
      : owner_(managed, [](void* p) { release<DLManagedTensorVersioned>(p); }) {
    if (!managed) return;
    if (managed->version.major != DLPACK_MAJOR_VERSION)
      raise<value_error>("limbeck: this tensor is of DLPack " + std::to_string(managed->version.major) + ", expected " +
                         std::to_string(DLPACK_MAJOR_VERSION));
    view_ = as_any_tensor(managed->dl_tensor);
    view_.read_only = (managed->flags & DLPACK_FLAG_BITMASK_READ_ONLY) != 0;
  }
#endif

  /// Valid as long as this object is.
  const any_tensor& view() const { return view_; }
  /// Whether it holds a tensor.
  explicit operator bool() const { return owner_ != nullptr; }

 private:
  template <class Managed>
  static void release(void* p) {
    auto* managed = static_cast<Managed*>(p);
    if (managed && managed->deleter) managed->deleter(managed);
  }
  std::unique_ptr<void, void (*)(void*)> owner_{nullptr, [](void*) {}};
  any_tensor view_;
};

template <>
struct any_tensor_traits<dlpack_tensor> {
  static any_tensor view(const dlpack_tensor& x) { return x.view(); }
};

/// Gives memory away: the result keeps @p owner alive until whoever takes it calls its deleter. Hand it to
/// `at::fromDLPack`, or to Python in a capsule named "dltensor".
/// @throws value_error for memory that is read-only, which this form of DLPack cannot say, or not on the host.
inline DLManagedTensor* to_dlpack(const any_tensor& x, std::shared_ptr<void> owner) {
  if (x.read_only)
    raise<value_error>("limbeck: to_dlpack gives memory away to be written, and this tensor (" + x.str() +
                       ") is read-only");
  if (x.memory != memory_kind::host) raise<value_error>("limbeck: to_dlpack gives away memory of the host only");
  struct package {
    DLManagedTensor managed{};
    std::shared_ptr<void> keeps;
    std::array<std::int64_t, any_tensor::max_rank> shape{}, strides{};
  };
  auto* p = new package;
  p->keeps = std::move(owner);
  for (std::size_t i = 0; i < x.rank; ++i) {
    p->shape[i] = x.shape[i];
    p->strides[i] = x.strides[i];
  }
  DLTensor& t = p->managed.dl_tensor;
  t.data = x.data;
  t.device = {kDLCPU, 0};
  t.ndim = static_cast<std::int32_t>(x.rank);
  t.dtype = detail::to_dlpack_type(x.type);
  t.shape = p->shape.data();
  t.strides = p->strides.data();
  p->managed.manager_ctx = p;
  p->managed.deleter = [](DLManagedTensor* m) { delete static_cast<package*>(m->manager_ctx); };
  return &p->managed;
}

/// Gives a tensor or a vector of numbers away, memory and all: `to_dlpack(std::move(gradient))`. An Eigen or xtensor
/// matrix becomes samples x classes with its strides, a vector one dimension. Of a view (an Eigen::Map, say) only the
/// view would move: see the form above.
template <class X>
  requires(!std::is_lvalue_reference_v<X> && storable<X> && !run_time_tensor<X>)
DLManagedTensor* to_dlpack(X&& x) {
  static_assert(!std::is_trivially_copyable_v<X>,
                "limbeck: this is a view of somebody else's memory; to_dlpack(view, owner) says who keeps it alive");
  auto owner = std::make_shared<X>(std::move(x));
  const any_tensor view = detail::any_view(*owner);
  return to_dlpack(view, std::move(owner));
}

LIMBECK_END_NAMESPACE

#endif
