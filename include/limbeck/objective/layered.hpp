#ifndef LIMBECK_OBJECTIVE_LAYERED_HPP
#define LIMBECK_OBJECTIVE_LAYERED_HPP

/// @file
/// Losses between layers whose number is known at run time: an output that is a list of tensors, and which of them are
/// compared.
///
///     return lk::outputs{lk::output<"logits">(z), lk::output<"hidden">(hidden)};  // std::vector<matrix> hidden
///     cross_entropy{} + lk::at_layers<"hidden">(lk::layer_map::evenly(4, 12), lk::feature_mse{})

#include <limbeck/layers/layer_map.hpp>
#include <limbeck/objective/learned.hpp>
#include <limbeck/objective/outputs.hpp>
#include <limbeck/objective/run_time.hpp>

#include <string>
#include <vector>

LIMBECK_BEGIN_NAMESPACE

/// @cond
/// What `at_layers` returns: a loss for each pair of layers. Each is a call of its own, see `named_call`; the list of terms
/// that is swept knows nothing of it.
template <fixed_string Student, fixed_string Teacher, loss L>
struct layered_loss : callable<layered_loss<Student, Teacher, L>> {
  using limbeck_loss = detail::layered;
  using place = detail::at_place<Student, Teacher>;
  using loss_type = L;
  layer_map map;
  std::vector<L> losses;  // one a pair
  bool alike;             // all of them are the same

  template <class F>
  void visit_learned(const F& f) const {
    for (const L& l : losses) detail::visit_learned(l, f, [](const auto&, auto) {});
  }
};

namespace detail {

/// A list of tensors, or of targets: an array, a span, a vector.
template <class X>
concept layer_list = !tensor<X> && !run_time_tensor<X> && !target<X> && requires(const X& x) {
  x.size();
  x.data()[0];
} && (tensor<std::remove_cvref_t<decltype(std::declval<X&>()[0])>> ||
      run_time_tensor<std::remove_cvref_t<decltype(std::declval<X&>()[0])>> ||
      target<std::remove_cvref_t<decltype(std::declval<X&>()[0])>>);

/// Number @p index of a list; what is no list teaches every layer.
template <class X>
auto& layer_at(X& x, std::size_t index) {
  if constexpr (layer_list<std::remove_cv_t<X>>) {
    return x[index];
  } else {
    return x;
  }
}
template <class X>
std::size_t layers_in(const X& x) {
  if constexpr (layer_list<X>) {
    return x.size();
  } else {
    return 1;
  }
}

/// Whether a loss inside compares layers.
template <class E>
constexpr bool has_layers() {
  if constexpr (is<E, layered>) {
    return true;
  } else if constexpr (!is<E, expression> || is_part<E>) {
    return false;
  } else if constexpr (requires(const E& e) { e.first; e.second; }) {
    return has_layers<decltype(E::first)>() || has_layers<decltype(E::second)>();
  } else {
    return has_layers<decltype(E::inner)>();
  }
}
/// Whether one of them reads the teacher's.
template <class E>
constexpr bool layers_read_teacher() {
  if constexpr (!has_layers<E>()) {
    return false;
  } else if constexpr (is<E, layered>) {
    return reads_teacher<typename E::loss_type>();
  } else if constexpr (requires(const E& e) { e.first; e.second; }) {
    return layers_read_teacher<decltype(E::first)>() || layers_read_teacher<decltype(E::second)>();
  } else {
    return layers_read_teacher<decltype(E::inner)>();
  }
}
/// f(at_layers(...), its weight at this progress) for each of them.
template <class E, class F>
void each_layered(const E& e, double progress, double weight, const F& f) {
  if constexpr (is<E, layered>) {
    f(e, weight);
  } else if constexpr (has_layers<E>()) {
    if constexpr (requires { e.first; e.second; }) {
      each_layered(e.first, progress, weight, f);
      each_layered(e.second, progress, weight, f);
    } else {
      if constexpr (requires { e.weight; }) weight *= e.weight(progress);
      each_layered(e.inner, progress, weight, f);
    }
  }
}

/// @throws value_error where pair @p k of @p map names a layer that is not there.
inline void check_layer(std::size_t k, std::size_t index, std::size_t count, std::string_view output, const char* side) {
  if (index >= count)
    raise<value_error>("limbeck: pair " + std::to_string(k) + " of at_layers names layer " + std::to_string(index) +
                       " of the " + side + "'s \"" + std::string(output) + "\", which are " + std::to_string(count) +
                       ", counted from 0");
}

template <fixed_string Student, fixed_string Teacher, loss L>
auto make_layered(const layer_map& map, std::vector<L> losses, bool alike) {
  static_assert(!has_places<L>(), "limbeck: at_layers stands around losses that stand at no output; its names are theirs");
  using Plan = typename plan_of<std::remove_cv_t<decltype(flatten(std::declval<const L&>(), context<>{}))>>::type;
  static_assert(Plan::learned == 0, "limbeck: at_layers takes no learned temperature; its derivative is that of one call");
  return layered_loss<Student, Teacher, L>{{}, map, std::move(losses), alike};
}

}  // namespace detail
/// @endcond

/// The sum over the pairs of @p map of a loss between one layer of the student's output @p Student and one of the teacher's
/// output @p Teacher (the same name unless told), which are lists of tensors of any length: an array, a span, a vector. A
/// teacher's output that is one tensor, or one target, is its layer 0.
///
/// @param map which layers; its numbers count from 0. Without pairs the sum is 0.
/// @param of a loss or a sum of losses, the same at every pair; or a function of a `layer_pair` that returns one, asked now:
///   `[&](lk::layer_pair p) { return lk::projected(bridges[p.student], lk::feature_mse{}); }` gives each layer its own
///   learned projection, `w[p.student] * lk::feature_mse{}` its own weight. With `1.0 / map.size()` before it, the sum is a
///   mean.
///
/// Each pair is one sweep. It reads what other losses read: labels, weights and masks, or those that `at<"name">(labels)` names
/// for the whole list. The gradient is a list too, as long as the student's; layers in no pair have zeros. A weight, a
/// schedule, `named` and + stand around it; a temperature, a signal or a domain stands inside, around @p of.
/// @throws value_error where a pair names a layer that is not there; else what the losses throw.
template <fixed_string Student, fixed_string Teacher = Student, class Of>
auto at_layers(const layer_map& map, const Of& of) {
  if constexpr (loss<Of>) {
    return detail::make_layered<Student, Teacher>(map, std::vector<Of>(map.size(), of), true);
  } else {
    constexpr bool gives = requires(const layer_pair& p) {
      requires loss<decltype(of(p))>;
    };
    static_assert(gives, "limbeck: at_layers takes a loss, or a function of a layer_pair that returns one");
    if constexpr (gives) {
      std::vector<std::remove_cvref_t<decltype(of(layer_pair{}))>> losses;
      for (const layer_pair& p : map) losses.push_back(of(p));
      return detail::make_layered<Student, Teacher>(map, std::move(losses), false);
    }
  }
}

LIMBECK_END_NAMESPACE

#endif
