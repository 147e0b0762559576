#ifndef LIMBECK_OBJECTIVE_ARGUMENTS_HPP
#define LIMBECK_OBJECTIVE_ARGUMENTS_HPP

/// @file
/// The arguments of a call. By position: student, teacher, labels, progress; a workspace anywhere; all else by name.

#include <limbeck/core/any_tensor.hpp>
#include <limbeck/core/executor.hpp>
#include <limbeck/core/progress.hpp>
#include <limbeck/core/workspace.hpp>
#include <limbeck/engine/plan.hpp>
#include <limbeck/engine/problem.hpp>

#include <tuple>

LIMBECK_BEGIN_NAMESPACE

/// @cond
namespace detail {

// A named argument is declared here, once: a tag says its name, where it goes in the problem, which objectives read it, and
// what is wrong with one that is missing or that nobody reads. A vector or an output more is a tag, its function and, for
// the sweeps, its member of `problem`.

/// A tag of what any objective may be given.
struct always_fine {
  template <class Plan>
  static constexpr bool is_read = true;
  template <class Plan, bool Given, bool Measured>
  static constexpr void require() {}
};

struct gradient_tag : always_fine {
  static constexpr const char* name = "gradient";
};
struct soft_labels_tag {
  static constexpr const char* name = "soft_labels";
  template <class Plan>
  static constexpr bool is_read = Plan::uses_soft_labels;
  template <class Plan, bool Given, bool>
  static constexpr void require() {
    static_assert(!Given || is_read<Plan>, "limbeck: soft_labels(P) is given, but no term takes them; cross_entropy does");
  }
};
struct row_losses_tag : always_fine {
  static constexpr const char* name = "row_losses";
  template <class T>
  static auto& in(problem<T>& p) {
    return p.row_losses;
  }
};
struct row_temperature_gradient_tag {
  static constexpr const char* name = "row_temperature_gradient";
  template <class T>
  static auto& in(problem<T>& p) {
    return p.row_temperature_gradient;
  }
  template <class Plan>
  static constexpr bool is_read = Plan::uses_row_temperatures;
  template <class Plan, bool Given, bool>
  static constexpr void require() {}
};
struct row_weights_tag : always_fine {
  static constexpr const char* name = "row_weights";
  static constexpr bool of_classes = false;
  template <class T>
  static any_vector& in(problem<T>& p) {
    return p.row_weights;
  }
};
struct row_mask_tag : always_fine {
  static constexpr const char* name = "row_mask";
  static constexpr bool of_classes = false;
  template <class T>
  static any_vector& in(problem<T>& p) {
    return p.row_mask;
  }
};
struct row_temperatures_tag {
  static constexpr const char* name = "row_temperatures";
  static constexpr bool of_classes = false;
  template <class T>
  static any_vector& in(problem<T>& p) {
    return p.row_temperatures;
  }
  template <class Plan>
  static constexpr bool is_read = Plan::uses_row_temperatures;
  template <class Plan, bool Given, bool Measured>
  static constexpr void require() {
    static_assert(!is_read<Plan> || Measured || Given,
                  "limbeck: a term stands at_temperature(per_row{}, ...); pass row_temperatures(T)");
    static_assert(!Measured || !Given,
                  "limbeck: a term has a signal for its temperature; row_temperatures(T) would be a second one");
    static_assert(is_read<Plan> || !Given,
                  "limbeck: row_temperatures(T) is given, but no term stands at_temperature(per_row{}, ...)");
  }
};
struct class_mask_tag {
  static constexpr const char* name = "class_mask";
  static constexpr bool of_classes = true;
  template <class T>
  static any_vector& in(problem<T>& p) {
    return p.class_mask;
  }
  template <class Plan>
  static constexpr bool is_read = Plan::template uses_domain<masked>;
  template <class Plan, bool Given, bool>
  static constexpr void require() {
    static_assert(!is_read<Plan> || Given, "limbeck: a term stands on<masked>; pass class_mask(m)");
    static_assert(is_read<Plan> || !Given, "limbeck: class_mask(m) is given, but no term stands on<masked>");
  }
};
/// All that objectives are asked about.
template <class... Tag>
struct tag_list {};
using named_tags = tag_list<gradient_tag, soft_labels_tag, row_losses_tag, row_temperature_gradient_tag, row_weights_tag,
                            row_mask_tag, row_temperatures_tag, class_mask_tag>;

// What the functions below return; one that views data also names its memory.
template <class T, class Sweep>
struct gradient_argument {
  using limbeck_argument = void;
  using tag = gradient_tag;
  using memory = Sweep;
  rows<T> view;
  bool add = false;
  void apply(problem<T>& in) const {
    in.gradient = view;
    in.add = add;
  }
};
template <class T, class Sweep>
struct soft_labels_argument {
  using limbeck_argument = void;
  using tag = soft_labels_tag;
  using memory = Sweep;
  rows<const T> view;
  void apply(problem<T>& in) const { in.soft_labels = view; }
};
template <class T, class Tag, class Memory>
struct row_output_argument {
  using limbeck_argument = void;
  using tag = Tag;
  using memory = Memory;
  strided_vector<T> out;
  void apply(problem<T>& in) const {
    if (out.size != in.samples()) throw_length(Tag::name, out.size, in.samples());
    if (out.stride != 1 && out.size > 1)
      raise<shape_error>(std::string("limbeck: ") + Tag::name + " has elements " + std::to_string(out.stride) +
                         " apart, expected contiguous memory");
    Tag::in(in) = out.data;
  }
};
/// One of the arguments above, of a tensor whose element type is known at run time.
template <class Tag>
struct any_argument {
  using limbeck_argument = void;
  using limbeck_run_time = void;
  using tag = Tag;
  any_tensor tensor;
  bool add = false;  // of a gradient
  template <class T>
  auto as() const {
    if constexpr (std::is_same_v<Tag, gradient_tag>) {
      return gradient_argument<T, host_rows>{tensor.rows<T>(Tag::name), add};
    } else if constexpr (std::is_same_v<Tag, soft_labels_tag>) {
      return soft_labels_argument<T, host_rows>{tensor.rows<const T>(Tag::name)};
    } else {
      const auto out = tensor.span<T>(Tag::name);
      return row_output_argument<T, Tag, host_rows>{{out.data(), out.size(), 1}};
    }
  }
};
template <class Tag, class X>
any_argument<Tag> any_named(const X& x) {
  return {any_tensor_traits<X>::view(x), false};
}
template <class Tag, class Memory>
struct vector_argument {
  using limbeck_argument = void;
  using tag = Tag;
  using memory = Memory;
  any_vector values;
  template <class T>
  void apply(problem<T>& in) const {
    const std::size_t expected = Tag::of_classes ? in.classes() : in.samples();
    if (values.size() != expected)
      throw_length(Tag::name, values.size(), expected, Tag::of_classes ? "one a class" : "one a row");
    Tag::in(in) = values;
  }
};
struct ignore_argument {
  using limbeck_argument = void;
  std::int64_t label;
  template <class T>
  void apply(problem<T>& in) const {
    in.ignore_index = label;
    in.ignore_given = true;
  }
};
struct unlabelled_argument {
  using limbeck_argument = void;
  std::int64_t label;
  template <class T>
  void apply(problem<T>& in) const {
    in.unlabelled_index = label;
    in.unlabelled_given = true;
  }
};
struct unread_argument {
  using limbeck_argument = void;
  template <class T>
  void apply(problem<T>&) const {}
};
struct reduction_argument {
  using limbeck_argument = void;
  reduction kind;
  double over = 0;
  template <class T>
  void apply(problem<T>& in) const {
    in.reduce = kind;
    in.mean_over = over;
  }
};

template <class Tensor>
constexpr void require_tensor(const char* = nullptr) {
  static_assert(tensor<Tensor>,
                "limbeck: this type is no tensor of float or double (halves and integers are converted first); include the header of its backend (<limbeck/eigen.hpp>, "
                "<limbeck/xtensor.hpp>, <limbeck/thrust.hpp>), evaluate an unevaluated expression first, or pass "
                "limbeck::rows<const float>(pointer, samples, classes)");
}
template <class V>
constexpr void require_vector() {
  static_assert(!std::is_void_v<vector_element_t<V>>,
                "limbeck: this vector has no data() and size() over numbers; std::vector<bool> has none, use "
                "std::vector<unsigned char>");
}
template <class Tag, class V>
vector_argument<Tag, vector_memory_t<V>> vector_input(const V& v) {
  if constexpr (run_time_tensor<V>) {
    return {any_tensor_traits<V>::view(v).vector(Tag::name)};
  } else {
    require_vector<V>();
    if constexpr (!std::is_void_v<vector_element_t<V>>) {
      return {view_vector(v)};
    } else {
      return {};
    }
  }
}
template <class Tag, class V>
auto row_output(V&& out) {
  if constexpr (run_time_tensor<V>) {
    return any_named<Tag, std::remove_cvref_t<V>>(out);
  } else {
    return row_output_argument<vector_element_t<V>, Tag, vector_memory_t<V>>{vector_memory(out)};
  }
}

}  // namespace detail
/// @endcond

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

/// Where the gradient with respect to the student's logits goes: a tensor of the student's shape, overwritten. Where the
/// student has several outputs, `outputs{output<"name">(g), ...}` with a gradient of each; an output that no loss looks
/// at gets zeros.
template <class Gradient>
auto into(Gradient&& g) {
  using Tensor = std::remove_cvref_t<Gradient>;
  if constexpr (requires { typename Tensor::limbeck_outputs; }) {
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
      return detail::gradient_argument<typename Traits::scalar, typename Traits::sweep>{view, false};
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
/// Probabilities instead of labels, samples x classes, for `cross_entropy`: finite, not negative.
template <class Tensor>
auto soft_labels(const Tensor& p) {
  if constexpr (run_time_tensor<Tensor>) {
    return detail::any_named<detail::soft_labels_tag>(p);
  } else {
    detail::require_tensor<Tensor>();
    using Traits = tensor_traits<Tensor>;
    return detail::soft_labels_argument<typename Traits::scalar, typename Traits::sweep>{Traits::view(p)};
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
  static constexpr std::size_t tensors = (std::size_t{tensor<A> || target<A>} + ... + 0);
  static constexpr bool target_needs_labels = (detail::target_needs_labels<A>() || ...);
  static constexpr bool teacher = tensors > 1;
  static constexpr bool labels = (is_labels<A> || ...);
  static constexpr bool gradient = has_tag<gradient_tag, A...>;
  static constexpr bool soft_labels = has_tag<soft_labels_tag, A...>;
  static constexpr bool deferred = (requires { typename A::runner::limbeck_deferred; } || ...);
  template <class Tag>
  static constexpr bool has = has_tag<Tag, A...>;
  static constexpr bool temperature_output = has_tag<row_temperature_gradient_tag, A...>;
};

template <class A>
constexpr void require_argument() {
  constexpr bool known = tensor<A> || target<A> || is_labels<A> || is_named<A> || std::is_same_v<A, progress> || is_workspace<A>;
  static_assert(known,
                "limbeck: this argument is no tensor of floats (is its backend's header included?), no target, no vector of "
                "integer labels, no progress, no workspace and no named argument such as into(gradient)");
}

/// Applies one argument; positional tensors are told apart by their order.
template <class T, class Sweep, class A>
void apply_argument(problem<T>& in, workspace_of<Sweep>*& ws, std::size_t& seen, A& a) {
  using Bare = std::remove_cvref_t<A>;
  if constexpr (requires { typename Bare::memory; })
    static_assert(std::is_same_v<typename Bare::memory, Sweep>,
                  "limbeck: a named argument (gradient, soft labels, weights, a mask, temperatures or an output) lives "
                  "in another memory (host or device) than the student");
  if constexpr (tensor<Bare>) {
    static_assert(std::is_same_v<typename tensor_traits<Bare>::scalar, T>,
                  "limbeck: student and teacher hold different scalar types; float goes with float, double with double");
    static_assert(std::is_same_v<typename tensor_traits<Bare>::sweep, Sweep>,
                  "limbeck: student and teacher live in different memory (host and device)");
    const rows<const T> view = tensor_traits<Bare>::view(a);
    if (seen == 0) {
      in.student = view;
    } else {
      in.teacher = view;
    }
    ++seen;
  } else if constexpr (target<Bare>) {
    static_assert(std::is_same_v<typename Bare::scalar, T>,
                  "limbeck: student and target hold different scalar types; float goes with float, double with double");
    static_assert(std::is_same_v<Sweep, host_rows>,
                  "limbeck: a target is asked for rows on the host; for a student on a device, fill(target, tensor) "
                  "and copy the tensor there");
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
                  "limbeck: a named argument (gradient, soft labels or an output) holds another scalar type than the "
                  "student");
  }
}

}  // namespace detail
/// @endcond

LIMBECK_END_NAMESPACE

#endif
