#ifndef LIMBECK_OBJECTIVE_ARGUMENT_TAGS_HPP
#define LIMBECK_OBJECTIVE_ARGUMENT_TAGS_HPP

/// @file
/// What the named arguments of a call are: a tag each, and the types that hold them.

#include <limbeck/core/any_tensor.hpp>
#include <limbeck/core/executor.hpp>
#include <limbeck/core/next_tokens.hpp>
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
struct teacher_gradient_tag : always_fine {
  static constexpr const char* name = "teacher_gradient";
};
/// Whose rows those of the call are a part of.
struct batch_over_tag : always_fine {
  static constexpr const char* name = "batch_over";
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
/// That the classes of each row are split over ranks: as it is given, and as the sweep takes it.
struct classes_over_tag : always_fine {
  static constexpr const char* name = "classes_over";
};
struct class_ranks_tag : always_fine {
  static constexpr const char* name = "classes_over";
};
/// All that objectives are asked about.
template <class... Tag>
struct tag_list {};
using named_tags = tag_list<gradient_tag, teacher_gradient_tag, soft_labels_tag, row_losses_tag, row_temperature_gradient_tag, row_weights_tag,
                            row_mask_tag, row_temperatures_tag, class_mask_tag>;

// What the functions below return; one that views data also names its memory.
template <class View, class Sweep>
struct gradient_argument {
  using limbeck_argument = void;
  using tag = gradient_tag;
  using memory = Sweep;
  View view;
  bool add = false;
  std::size_t beyond = 0;
  template <class T>
    requires std::is_constructible_v<stored_rows<T>, View>
  void apply(problem<T>& in) const {
    in.gradient = view;
    in.add = add;
    in.gradient_beyond = beyond;
  }
};
template <class View, class Sweep>
struct teacher_gradient_argument {
  using limbeck_argument = void;
  using tag = teacher_gradient_tag;
  using memory = Sweep;
  View view;
  bool add = false;
  template <class T>
    requires std::is_constructible_v<stored_rows<T>, View>
  void apply(problem<T>& in) const {
    in.teacher_gradient = view;
    in.add_teacher = add;
  }
};
template <class View, class Sweep>
struct soft_labels_argument {
  using limbeck_argument = void;
  using tag = soft_labels_tag;
  using memory = Sweep;
  View view;
  template <class T>
    requires std::is_constructible_v<stored_rows<const T>, View>
  void apply(problem<T>& in) const {
    in.soft_labels = view;
  }
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
/// One of the arguments above, of a tensor whose element type is known at run time.
template <class Tag>
struct any_argument {
  using limbeck_argument = void;
  using limbeck_run_time = void;
  using tag = Tag;
  any_tensor tensor;
  bool add = false;  // of a gradient
  template <class T, class Sweep>
  auto as() const {
    constexpr memory_kind where = kind_of_memory<Sweep>;
    if constexpr (std::is_same_v<Tag, gradient_tag>) {
      return gradient_argument<stored_rows<T>, Sweep>{stored_view<T>(tensor, Tag::name, where), add, tensor.beyond};
    } else if constexpr (std::is_same_v<Tag, teacher_gradient_tag>) {
      return teacher_gradient_argument<stored_rows<T>, Sweep>{stored_view<T>(tensor, Tag::name, where), add};
    } else if constexpr (std::is_same_v<Tag, soft_labels_tag>) {
      return soft_labels_argument<stored_rows<const T>, Sweep>{stored_view<const T>(tensor, Tag::name, where)};
    } else if constexpr (requires { Tag::of_classes; }) {
      return vector_argument<Tag, Sweep>{tensor.vector(Tag::name, where)};
    } else {
      const auto out = tensor.span<T>(Tag::name, where);
      return row_output_argument<T, Tag, Sweep>{{out.data(), out.size(), 1}};
    }
  }
};
template <class Tag, class X>
any_argument<Tag> any_named(const X& x) {
  return {any_tensor_traits<X>::view(x), false};
}
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
                "limbeck: this type is no tensor of floats of 16, 32 or 64 bits (integers are converted first); include the header of its backend (<limbeck/eigen.hpp>, "
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
auto vector_input(const V& v) {
  if constexpr (run_time_tensor<V>) {
    return any_named<Tag>(v);
  } else {
    using Argument = vector_argument<Tag, vector_memory_t<V>>;
    require_vector<V>();
    static_assert(!is_next_tokens<V>, "limbeck: next_tokens are labels; weights, masks and temperatures are one a row");
    if constexpr (!std::is_void_v<vector_element_t<V>>) {
      return Argument{view_vector(v)};
    } else {
      return Argument{};
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

LIMBECK_END_NAMESPACE

#endif
