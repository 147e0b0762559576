#ifndef LIMBECK_CORE_PICTURE_ROWS_HPP
#define LIMBECK_CORE_PICTURE_ROWS_HPP

/// @file
/// Pictures as rows: samples x (channels x positions) seen as rows of channels or of positions, where they lie.

#include <limbeck/core/first_classes.hpp>
#include <limbeck/core/stored_rows.hpp>

LIMBECK_BEGIN_NAMESPACE

/// @cond
/// Rows of channels, or of positions, of each sample.
template <class Held, bool Channels>
struct picture_rows {
  Held tensor;
  std::size_t channels;
};

namespace detail {

/// Rows of @p x, channels x positions each, as rows within them: samples x channels of positions, or samples x positions of channels.
template <bool Channels, class E>
auto within_rows(const stored_rows<E>& x, std::size_t channels) {
  if (channels == 0 || x.classes % channels != 0)
    raise<shape_error>(std::string("limbeck: ") + (Channels ? "channels_as_rows" : "positions_as_rows") + " of " +
                       std::to_string(x.classes) + " columns, which are no whole number of positions in " + std::to_string(channels) +
                       " channels");
  if (x.block != 0) raise<shape_error>("limbeck: channels_as_rows and positions_as_rows take samples with one stride between them");
  const std::size_t positions = x.classes / channels;
  const std::ptrdiff_t to_channel = static_cast<std::ptrdiff_t>(positions) * x.class_stride;
  stored_rows<E> y = x;
  y.block = Channels ? channels : positions;
  y.samples = x.samples * y.block;
  y.classes = Channels ? positions : channels;
  y.sample_stride = Channels ? to_channel : x.class_stride;
  y.class_stride = Channels ? x.class_stride : to_channel;
  y.block_stride = x.sample_stride;
  if (y.block_stride == y.sample_stride * static_cast<std::ptrdiff_t>(y.block) || x.samples == 1) y.block = 0;  // one stride through all
  return y;
}

template <bool Channels, class X>
auto picture_rows_of(X&& x, std::size_t channels) {
  require_kept<X>();
  using Bare = std::remove_cvref_t<X>;
  static_assert(tensor<Bare>, "limbeck: this is no tensor of floats (is its backend's header included?)");
  if constexpr (owns_memory<Bare>()) {
    return picture_rows<std::remove_reference_t<X>&, Channels>{x, channels};
  } else {
    return picture_rows<Bare, Channels>{x, channels};
  }
}

}  // namespace detail
/// @endcond

/// @p x, samples x (channels x positions), as rows of the positions' channels: (samples x positions) x channels, for any tensor of a
/// call: dense predictions, whose labels, weights and masks are one a position, in the order of memory.
/// `objective(positions_as_rows(s, 21), positions_as_rows(t, 21), labels, into(positions_as_rows(g, 21)))`. Nothing is copied.
/// Of a tensor whose type is known at run time, batch x channels x ..., dimension 1 holds the channels: `positions_as_rows(x)`.
/// @throws shape_error where the columns are no whole number of positions, in the call
template <class X>
auto positions_as_rows(X&& x, std::size_t channels) {
  return detail::picture_rows_of<false>(std::forward<X>(x), channels);
}
/// The same.
template <run_time_tensor X>
any_tensor positions_as_rows(X&& x) {
  return classes_at(1, std::forward<X>(x));
}
/// @p x, samples x (channels x positions), as rows of its channels: (samples x channels) x positions; a softmax is over positions then.
/// Of a tensor whose type is known at run time, batch x channels x ..., `channels_as_rows(x)`.
/// @throws shape_error as `positions_as_rows`
template <class X>
auto channels_as_rows(X&& x, std::size_t channels) {
  return detail::picture_rows_of<true>(std::forward<X>(x), channels);
}
/// The same.
template <run_time_tensor X>
any_tensor channels_as_rows(X&& x) {
  detail::require_kept<X>();
  any_tensor t = any_tensor_traits<std::remove_cvref_t<X>>::view(x);
  if (t.rank < 3) raise<shape_error>("limbeck: channels_as_rows of " + t.str() + ", expected batch x channels x positions");
  std::ptrdiff_t positions = 1, step = 0;  // between positions
  for (std::size_t i = t.rank; i-- > 2;) {
    if (t.shape[i] > 1 && step == 0) step = t.strides[i];
    if (t.shape[i] > 1 && t.strides[i] != positions * step)
      raise<shape_error>("limbeck: channels_as_rows of " + t.str() + ", whose positions do not lie one after the other; make it contiguous");
    positions *= t.shape[i];
  }
  t.strides[2] = step == 0 ? 1 : step;
  t.shape[2] = positions;
  t.rank = 3;
  t.named_classes = true;
  return t;
}

/// @cond
template <class Held, bool Channels>
struct tensor_traits<picture_rows<Held, Channels>> {
  using inner = tensor_traits<std::remove_cvref_t<Held>>;
  static constexpr bool is_view = true;
  using scalar = typename inner::scalar;
  template <class S>
  using lanes = typename inner::template lanes<S>;
  using sweep = typename inner::sweep;

  static auto view(const picture_rows<Held, Channels>& x) { return within(inner::view(x.tensor), x.channels); }
  static auto view(picture_rows<Held, Channels>& x) { return within(inner::view(x.tensor), x.channels); }
  static auto gradient_like(const picture_rows<Held, Channels>& x) { return inner::gradient_like(x.tensor); }
  template <class G>
  static auto view_gradient(G& g, const picture_rows<Held, Channels>& x) {
    return within(inner::view_gradient(g, x.tensor), x.channels);
  }

 private:
  template <class E>
  static auto within(const stored_rows<E>& x, std::size_t channels) {
    return detail::within_rows<Channels>(x, channels);
  }
  template <class R>
  static auto within(const R& x, std::size_t channels) {
    using E = typename R::element;
    using Number = arithmetic_of_t<std::remove_const_t<E>>;
    return detail::within_rows<Channels>(stored_rows<std::conditional_t<std::is_const_v<E>, const Number, Number>>(x), channels);
  }
};
/// @endcond

LIMBECK_END_NAMESPACE

#endif
