#ifndef LIMBECK_OBJECTIVE_ARGUMENTS_HPP
#define LIMBECK_OBJECTIVE_ARGUMENTS_HPP

/// @file
/// The arguments of a call. By position: student, teacher, labels, progress; a workspace anywhere; all else by name.

#include <limbeck/core/first_classes.hpp>
#include <limbeck/core/next_tokens.hpp>
#include <limbeck/core/picture_rows.hpp>
#include <limbeck/engine/statistics.hpp>
#include <limbeck/objective/argument_tags.hpp>
#include <limbeck/objective/head.hpp>

#include <tuple>

LIMBECK_BEGIN_NAMESPACE

/// @cond
namespace detail {
/// The gradients of several outputs.
template <class Outputs>
struct gradients_argument {
  using limbeck_argument = void;
  using tag = gradient_tag;
  Outputs* all;
  bool add;
};
}  // namespace detail
/// @endcond

/// Where the gradient with respect to the student's logits goes: a tensor of the student's shape, overwritten. It may be of another
/// floating-point type than the student; each element is rounded when it is written (one of 16 bits from float). Where the
/// student is `logits_of(hidden, weights)`, `head_gradient(of_hidden, of_weights)`. Where the
/// student has several outputs, `outputs{output<"name">(g), ...}` with a gradient of each; an output that no loss looks
/// at gets zeros.
template <class Gradient>
auto into(Gradient&& g) {
  using Tensor = std::remove_cvref_t<Gradient>;
  if constexpr (std::is_same_v<Tensor, head_gradients>) {
    return Tensor(g);
  } else if constexpr (requires { typename Tensor::limbeck_outputs; }) {
    return detail::gradients_argument<std::remove_reference_t<Gradient>>{&g, false};
  } else if constexpr (run_time_tensor<Tensor>) {
    return detail::any_named<detail::gradient_tag, Tensor>(g);
  } else if constexpr (detail::require_tensor<Tensor>(); tensor<Tensor>) {
    using Traits = tensor_traits<Tensor>;
    auto view = Traits::view(g);
    using View = decltype(view);
    static_assert(!std::is_const_v<typename View::element>,
                  "limbeck: into(gradient) needs a tensor that can be written; this one is const");
    if constexpr (!std::is_const_v<typename View::element>)
      return detail::gradient_argument<View, typename Traits::sweep>{view, false, detail::columns_beyond(g)};
  }
}
/// The same, added to what stands there: what several calls say of one tensor. After an exception a part of it may have been
/// added.
template <class Gradient>
auto add_to(Gradient&& g) {
  auto argument = into(std::forward<Gradient>(g));
  argument.add = true;
  return argument;
}
/// Where the gradient with respect to the teacher's tensor goes, of the teacher's shape, overwritten: both towers of a contrast are
/// trained, or a teacher with its student. All losses that read the teacher have to have that derivative: those that are sums over
/// columns (divergences, regressions), and batchwise ones that say so. A loss of rows is swept once more for it.
template <class Gradient>
auto into_teacher(Gradient&& g) {
  using Tensor = std::remove_cvref_t<Gradient>;
  if constexpr (run_time_tensor<Tensor>) {
    return detail::any_named<detail::teacher_gradient_tag, Tensor>(g);
  } else if constexpr (detail::require_tensor<Tensor>(); tensor<Tensor>) {
    using Traits = tensor_traits<Tensor>;
    auto view = Traits::view(g);
    using View = decltype(view);
    static_assert(!std::is_const_v<typename View::element>,
                  "limbeck: into_teacher(gradient) needs a tensor that can be written; this one is const");
    if constexpr (!std::is_const_v<typename View::element>)
      return detail::teacher_gradient_argument<View, typename Traits::sweep>{view, false};
  }
}
/// Probabilities instead of labels, samples x classes, for `cross_entropy`: finite, not negative.
template <class Tensor>
auto soft_labels(const Tensor& p) {
  if constexpr (run_time_tensor<Tensor>) {
    return detail::any_named<detail::soft_labels_tag>(p);
  } else {
    detail::require_tensor<Tensor>();
    using Traits = tensor_traits<Tensor>;
    const auto view = Traits::view(p);
    return detail::soft_labels_argument<std::remove_const_t<decltype(view)>, typename Traits::sweep>{view};
  }
}
/// Where the loss of each row goes (its terms' weights and T^k included, its row weight and the reduction not).
template <class V>
auto row_losses(V&& out) {
  return detail::row_output<detail::row_losses_tag>(out);
}
/// Where d loss / d T of each row goes, for terms at `per_row{}`.
template <class V>
auto row_temperature_gradient(V&& out) {
  return detail::row_output<detail::row_temperature_gradient_tag>(out);
}
/// One weight a row, not negative; `mean` divides by their sum.
template <class V>
auto row_weights(const V& w) {
  return detail::vector_input<detail::row_weights_tag>(w);
}
/// Rows whose entry is 0 do not count: no loss, a zero gradient, and their values are not looked at.
template <class V>
auto row_mask(const V& m) {
  return detail::vector_input<detail::row_mask_tag>(m);
}
/// The temperatures of terms at `per_row{}`.
template <class V>
auto row_temperatures(const V& t) {
  return detail::vector_input<detail::row_temperatures_tag>(t);
}
/// The classes of the domain `masked`: those whose entry is not 0.
template <class V>
auto class_mask(const V& m) {
  return detail::vector_input<detail::class_mask_tag>(m);
}
/// Rows with this label do not count; -100 unless told, as in PyTorch.
constexpr detail::ignore_argument ignore_index(std::int64_t label) { return {label}; }

/// Rows with this label have none: the terms that need a label are 0 there, the others count, and so does the row. Labels
/// where there are some, the teacher everywhere: `(cross_entropy{} + forward_kl{})(s, t, labels, unlabelled(-1))`.
constexpr detail::unlabelled_argument unlabelled(std::int64_t label) { return {label}; }

/// Says that what nothing reads is meant: a teacher, labels or progress of a call whose objective has no use for them is a
/// sentence of the compiler otherwise. For generic code, as the trainer, that passes on what it has.
inline constexpr detail::unread_argument unread_is_fine{};

/// Sum of w_r L_r over the sum of w_r, over the valid rows: the default. PyTorch's `batchmean`.
inline constexpr detail::reduction_argument mean{detail::reduction::mean, 0};
/// Sum of w_r L_r.
inline constexpr detail::reduction_argument sum{detail::reduction::sum, 0};
/// No reduction: the losses of the rows are in `row_losses(out)`; the gradient is that of their weighted sum.
inline constexpr detail::reduction_argument none{detail::reduction::none, 0};
/// The mean when this call holds only a part of the batch: @p total is the sum of the weights (without weights, the
/// number) of the valid rows of *all* micro-batches. Losses add up and gradients are the same, however it is split.
/// @throws value_error where @p total is not positive and finite.
inline detail::reduction_argument mean_over(double total) {
  if (!(total > 0 && total < 1e300))
    raise<value_error>("limbeck: mean_over is " + detail::show(total) + ", expected the positive weight of all rows");
  return {detail::reduction::mean, total};
}

/// @cond
namespace detail {

/// The scratch memory of a sweep; a backend with memory of its own specialises it.
template <class Sweep>
struct workspace_for {
  using type = workspace;
};
template <class Sweep>
using workspace_of = typename workspace_for<Sweep>::type;
template <class A>
inline constexpr bool is_workspace = requires { typename A::limbeck_workspace; };

template <class A>
inline constexpr bool is_named = requires { typename A::limbeck_argument; };
template <class A>
inline constexpr bool is_labels =
    !tensor<A> && std::is_integral_v<vector_element_t<A>> && !std::is_same_v<vector_element_t<A>, bool>;
template <class A, template <class...> class Of>
inline constexpr bool is_a = false;
template <template <class...> class Of, class... X>
inline constexpr bool is_a<Of<X...>, Of> = true;

/// What an argument is to a call, whatever it holds: a call has one of each.
template <class A>
struct role_of {
  using type = A;
};
template <class A>
  requires requires { typename A::tag; }
struct role_of<A> {
  using type = typename A::tag;
};
template <class A>
  requires is_labels<A>
struct role_of<A> {
  using type = struct labels_role;
};
template <class A>
  requires(tensor<A> || target<A>)  // told apart by their order
struct role_of<A> {
  using type = void;
};
template <class First, class... Rest>
inline constexpr bool comes_again = !std::is_void_v<First> && (std::is_same_v<First, Rest> || ...);
template <class... Role>
struct any_twice {
  static constexpr bool value = false;
};
template <class First, class... Rest>
struct any_twice<First, Rest...> {
  static constexpr bool value = comes_again<First, Rest...> || any_twice<Rest...>::value;
};

template <class Tag, class... A>
inline constexpr bool has_tag = (std::is_same_v<typename role_of<A>::type, Tag> || ...);

/// The target of a call on a device, as it is copied there; void where there is none, and on the host, whose sweep does not
/// know it.
template <class Sweep, class... A>
struct target_type_of {
  using type = void;
};
template <class Sweep, class First, class... Rest>
struct target_type_of<Sweep, First, Rest...> : target_type_of<Sweep, Rest...> {};
template <class Sweep, target First, class... Rest>
  requires(!std::is_same_v<Sweep, host_rows>)
struct target_type_of<Sweep, First, Rest...> {
  using type = settled_t<First>;
};

/// What a list of argument types says before anything runs.
template <class... A>
struct signature {
  static constexpr bool twice = any_twice<typename role_of<A>::type...>::value;
  static constexpr bool has_progress = (std::is_same_v<A, progress> || ...);
  static constexpr bool has_target = (target<A> || ...);
  static constexpr bool says_labels =
      (std::is_same_v<A, ignore_argument> || ...) || (std::is_same_v<A, unlabelled_argument> || ...);
  static constexpr bool unread_is_fine = (std::is_same_v<A, unread_argument> || ...);
  using student_traits = tensor_traits<std::tuple_element_t<0, std::tuple<A...>>>;
  using target_type = typename target_type_of<typename student_traits::sweep, A...>::type;
  static constexpr std::size_t tensors = (std::size_t{tensor<A> || target<A>} + ... + 0);
  static constexpr bool target_needs_labels = (detail::target_needs_labels<A>() || ...);
  static constexpr bool teacher = tensors > 1;
  static constexpr bool labels = (is_labels<A> || ...);
  static constexpr bool gradient = has_tag<gradient_tag, A...>;
  static constexpr bool teacher_gradient = has_tag<teacher_gradient_tag, A...>;
  static constexpr bool soft_labels = has_tag<soft_labels_tag, A...>;
  static constexpr bool deferred = (requires { typename A::runner::limbeck_deferred; } || ...);
  template <class Tag>
  static constexpr bool has = has_tag<Tag, A...>;
  static constexpr bool over_ranks = has_tag<class_ranks_tag, A...>;
  /// What a sweep is compiled for, where the classes are over ranks or are not.
  template <class Mode>
  using mode = std::conditional_t<over_ranks, over_ranks_mode<Mode>, Mode>;
  static constexpr bool temperature_output = has_tag<row_temperature_gradient_tag, A...>;
};

template <class A>
constexpr void require_argument() {
  constexpr bool known = tensor<A> || target<A> || is_labels<A> || is_named<A> || std::is_same_v<A, progress> || is_workspace<A>;
  static_assert(known,
                "limbeck: this argument is no tensor of floats (is its backend's header included?), no target, no vector of "
                "integer labels, no progress, no workspace and no named argument such as into(gradient)");
}

/// What a device asks of a target.
template <class Target, class Sweep>
constexpr void require_takes_teams() {
  if constexpr (!std::is_same_v<Sweep, host_rows> && std::is_same_v<target_memory<Target>, Sweep>) {
    static_assert(device_target<Target>,
                  "limbeck: the fill of this target takes rows of the host only; on a device make it a template over the row "
                  "(template <class Row> LIMBECK_HOST_DEVICE void fill(const Row&) const)");
    static_assert(std::is_trivially_copyable_v<settled_t<Target>>,
                  "limbeck: this target holds settings that cannot be copied to a device; keep them trivially copyable");
  }
}

/// Applies one argument; positional tensors are told apart by their order.
template <class T, class Sweep, class A>
void apply_argument(problem<T>& in, workspace_of<Sweep>*& ws, std::size_t& seen, A& a) {
  using Bare = std::remove_cvref_t<A>;
  if constexpr (!target<Bare> && requires { typename Bare::memory; })
    static_assert(std::is_same_v<typename Bare::memory, Sweep>,
                  "limbeck: a named argument (gradient, soft labels, weights, a mask, temperatures or an output) lives "
                  "in another memory (host or device) than the student");
  if constexpr (tensor<Bare>) {
    static_assert(std::is_same_v<typename tensor_traits<Bare>::sweep, Sweep>,
                  "limbeck: student and teacher live in different memory (host and device)");
    const stored_rows<const T> view = tensor_traits<Bare>::view(a);
    if (seen == 0) {
      in.student = view;
    } else {
      in.teacher = view;
    }
    ++seen;
  } else if constexpr (target<Bare>) {
    static_assert(std::is_same_v<typename Bare::scalar, T>,
                  "limbeck: student and target hold different scalar types; float goes with float, double with double");
    static_assert(std::is_same_v<target_memory<Bare>, Sweep>,
                  "limbeck: the tensors of a target live in another memory (host or device) than the student");
    require_takes_teams<Bare, Sweep>();
    in.target = target_reference<T>(a);
    ++seen;
  } else if constexpr (is_labels<Bare>) {
    static_assert(std::is_same_v<vector_memory_t<Bare>, Sweep>,
                  "limbeck: the labels live in another memory (host or device) than the student");
    in.labels = view_vector(a);
    if (in.labels.size() != in.samples()) throw_length("labels", in.labels.size(), in.samples());
  } else if constexpr (std::is_same_v<Bare, progress>) {
    in.progress = a.fraction();
  } else if constexpr (is_workspace<Bare>) {
    static_assert(!std::is_const_v<A>, "limbeck: the workspace is const; a call writes to it");
    static_assert(std::is_same_v<Bare, workspace_of<Sweep>>,
                  "limbeck: rows on the host take a workspace, rows on a device a device_workspace");
    if constexpr (std::is_same_v<A, workspace_of<Sweep>>) ws = &a;
  } else if constexpr (requires { a.apply(in); }) {
    a.apply(in);
  } else {
    static_assert(!is_named<Bare>,
                  "limbeck: a named output (row_losses, row_temperature_gradient) holds another scalar type than the "
                  "student");
  }
}

}  // namespace detail
/// @endcond

LIMBECK_END_NAMESPACE

#endif
