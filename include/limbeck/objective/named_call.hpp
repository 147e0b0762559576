#ifndef LIMBECK_OBJECTIVE_NAMED_CALL_HPP
#define LIMBECK_OBJECTIVE_NAMED_CALL_HPP

/// @file
/// A call with named outputs becomes a call of each part, with the arguments that this part reads.

#include <limbeck/objective/layered.hpp>
#include <limbeck/objective/parts.hpp>
#include <limbeck/objective/report.hpp>
#include <limbeck/objective/requirements.hpp>

#include <tuple>

LIMBECK_BEGIN_NAMESPACE

/// @cond
namespace detail {

template <class A>
inline constexpr bool is_located = requires {
  A::output;
};

/// What an argument is to a call, in whatever type it comes.
template <class A>
struct kind_of_argument : role_of<A> {};
template <run_time_tensor A>
struct kind_of_argument<A> {
  using type = labels_role;
};
template <class A>
using kind_of_argument_t = typename kind_of_argument<std::remove_cvref_t<A>>::type;

/// Whether a part reads what all parts are given. Losses of rows go to one place: those of the logits.
template <class Plan, class Kind>
constexpr bool part_reads([[maybe_unused]] bool first_at_logits) {
  if constexpr (std::is_same_v<Kind, row_losses_tag>) {
    return first_at_logits;
  } else if constexpr (requires { Kind::template is_read<Plan>; }) {
    return Kind::template is_read<Plan>;
  } else {
    return true;
  }
}

/// The derivatives by the learned temperatures of a part, among those of the whole objective.
template <class Whole, class... Own>
void add_temperatures(const evaluation& part, evaluation& whole, key_list<Own...>) {
  [[maybe_unused]] std::size_t next = 0;
  const auto add = [&]<class Slot>(std::type_identity<Slot>) {
    if constexpr (is_learned<Slot>)
      whole.temperature_gradient[learned_before<Slot>(typename Whole::slot_keys{})] +=
          part.temperature_gradient[next++];
  };
  (add(std::type_identity<Own>{}), ...);
}

/// What can be wrong with the names of a call, and what nobody reads; whether the names are right.
template <class E, class Student, class Teacher, class... Args>
constexpr bool require_parts() {
  constexpr auto& all = parts<E>;
  constexpr bool students = [] {
    for (std::size_t i = 0; i != all.count; ++i)
      if (output_index<Student>(all.all[i].student) == outputs_in<Student>() ||
          (all.all[i].both && output_index<Student>(all.all[i].teacher) == outputs_in<Student>()))
        return false;
    return true;
  }();
  static_assert(
      students,
      "limbeck: a loss stands at an output that the student does not have; at<\"name\"> names one of "
      "outputs{output<\"name\">(x), ...}, a loss without at stands at \"logits\", and a tensor alone is \"logits\"");
  constexpr bool reads = all.taught() || layers_read_teacher<E>();
  constexpr bool teacher = !reads || !std::is_void_v<Teacher>;
  static_assert(teacher,
                "limbeck: a loss or a signal of this objective reads a teacher; pass its outputs after the student's");
  bool teachers_fine = true;
  if constexpr (!std::is_void_v<Teacher>) {
    constexpr bool teachers = [] {
      for (std::size_t i = 0; i != all.count; ++i)
        if (all.all[i].taught() && output_index<Teacher>(all.all[i].teacher) == outputs_in<Teacher>())
          return false;
      return true;
    }();
    static_assert(teachers,
                  "limbeck: a loss compares with an output that the teacher does not have; at<\"student's\", "
                  "\"teacher's\"> names "
                  "both, at<\"name\"> the same of both, and a tensor alone is \"logits\"");
    teachers_fine = teachers;
  }
  [[maybe_unused]] constexpr auto known = []<class A>(std::type_identity<A>) {
    if constexpr (is_located<A>)
      return output_index<Student>(A::output.view()) < outputs_in<Student>();
    else
      return true;
  };
  static_assert((known(std::type_identity<Args>{}) && ...),
                "limbeck: at<\"name\">(argument) names an output that the student does not have");
  static_assert(!(has_tag<teacher_gradient_tag, Args> || ...),
                "limbeck: into_teacher(g) goes with one student and one teacher; two outputs of a student that both learn stand in "
                "between<\"a\", \"b\">(loss)");
  constexpr bool at_logits = [] {
    for (std::size_t i = 0; i != all.count; ++i)
      if (all.all[i].student == logits_name) return true;
    return false;
  }();
  [[maybe_unused]] constexpr auto of_rows = []<class A>(std::type_identity<A>) {
    if constexpr (is_located<A>)
      return false;
    else
      return std::is_same_v<kind_of_argument_t<A>, row_losses_tag>;
  };
  static_assert(at_logits || !(of_rows(std::type_identity<Args>{}) || ...),
                "limbeck: row_losses(v) is of the losses at the logits, and this objective has none there; at<\"name\">(row_losses(v)) "
                "is of those at another output");
  static_assert(!(requires { typename Args::runner::limbeck_deferred; } || ...),
                "limbeck: a call with named outputs is several sweeps, whose results are read at once; leave "
                "deferred(result) out");
  constexpr bool fine = (std::is_same_v<Args, unread_argument> || ...), moves = (std::is_same_v<Args, progress> || ...);
  static_assert(
      fine || std::is_void_v<Teacher> || reads,
      "limbeck: a teacher is given, but no term and no signal reads it; leave it out, or pass unread_is_fine");
  static_assert(fine || is_scheduled<E>() || !moves || !std::is_void_v<Teacher>,
                "limbeck: progress is given, but this objective has no schedule that would read it; leave it out, or "
                "pass unread_is_fine");
  return students && teacher && teachers_fine;
}

/// One call: its student, its teacher (void where there is none) and what comes after them.
template <class E, class Student, class Teacher, class... Args>
class named_call {
 public:
  named_call(const E& e, Student& student, Teacher* teacher, Args&... args)
      : e_(e), student_(student), teacher_(teacher), args_(args...) {}

  /// f(part, arguments) for each part; where a gradient is given, it is among them.
  template <bool Gradient, class F>
  void each_part(F&& f) const {
    for_each_index<parts<E>.count>([&](auto i) {
      const objective_part<E, i> part(e_);
      std::apply([&](auto&&... a) { f(part, a...); },
                 std::tuple_cat(tensors<i>(),
                                std::apply([&](auto&... a) { return std::tuple_cat(keep<i, Gradient>(a)...); }, args_),
                                std::tuple<const unread_argument&>(unread_is_fine)));
    });
  }
  evaluation evaluate() const {
    using Whole = typename plan_of<std::remove_cv_t<terms_of<E>>>::type;
    evaluation all;
    check_layers<true>();
    each_part<true>([&]<class Part>(const Part& part, auto&... a) {
      const evaluation e = part(a...);
      all.loss += e.loss;
      if constexpr (Part::index == parts<E>.of_term[0]) all.rows = e.rows, all.weight = e.weight;
      using Own = typename plan_of<std::remove_cv_t<terms_of<Part>>>::type;
      add_temperatures<Whole>(e, all, typename Own::slot_keys{});
    });
    clear_unread();
    each_layer<true>([&](const auto& objective, const layer_pair&, auto&... a) {
      const evaluation e = objective(a...);
      all.loss += e.loss;
      if (parts<E>.count == 0) all.rows = e.rows, all.weight = e.weight;
    });
    return all;
  }
  double value() const {
    double loss = 0;
    check_layers<true>();
    each_part<true>([&](const auto& part, auto&... a) { loss += part.value(a...); });
    each_layer<true>([&](const auto& objective, const layer_pair&, auto&... a) { loss += objective.value(a...); });
    return loss;
  }
  objective_report report() const {
    objective_report all;
    check_layers<false>();
    each_part<false>([&](const auto& part, auto&... a) { all.add(part.report(a...)); });
    each_layer<false>([&](const auto& objective, const layer_pair& p, auto&... a) {
      all.add(objective.report(a...), ", layer " + std::to_string(p.student) + " of " + std::to_string(p.teacher));
    });
    return all;
  }

 private:
  template <std::size_t Index>
  auto tensors() const {
    constexpr auto self = parts<E>.all[Index];
    auto& s = output_at<output_index<Student>(self.student)>(student_);
    if constexpr (self.both) {
      auto& t = output_at<output_index<Student>(self.teacher)>(student_);
      return std::tie(s, t);
    } else if constexpr (self.reads_teacher) {
      auto& t = output_at<output_index<Teacher>(self.teacher)>(*teacher_);
      return std::tie(s, t);
    } else {
      return std::tie(s);
    }
  }
  template <std::size_t Index>
  struct place_of_part {
    static constexpr std::string_view student = parts<E>.all[Index].student;
  };
  /// Argument @p a as part @p Index takes it: a tuple of one, or of none.
  template <std::size_t Index, bool Gradient, class A>
  auto keep(A& a) const {
    using Bare = std::remove_cvref_t<A>;
    constexpr auto self = parts<E>.all[Index];
    if constexpr (std::is_same_v<kind_of_argument_t<Bare>, gradient_tag>) {
      if constexpr (Gradient) {
        auto g = gradient_of_part<Index>(a);
        g.add = g.add || !self.first_of_student;
        if constexpr (self.both) {
          auto second = gradient_of_second<Index>(a);
          second.add = second.add || !self.first_of_second;
          return std::tuple<decltype(g), decltype(second)>(g, second);
        } else {
          return std::tuple<decltype(g)>(g);
        }
      } else {
        return std::tuple<>();
      }
    } else {
      return keep_at<place_of_part<Index>, objective_part<E, Index>, self.student == logits_name && self.first_of_student>(a);
    }
  }
  /// What @p Own, at the student's output that @p Place names, reads of an argument that is no gradient.
  template <class Place, class Own, bool FirstAtLogits, class A>
  auto keep_at(A& a) const {
    using Bare = std::remove_cvref_t<A>;
    if constexpr (std::is_same_v<Bare, unread_argument>) {
      return std::tuple<>();
    } else if constexpr (is_located<Bare>) {
      if constexpr (Bare::output.view() == Place::student) {
        return std::tie(a.argument);
      } else {
        return std::tuple<>();
      }
    } else {
      using Kind = kind_of_argument_t<Bare>;
      using Plan = typename plan_of<std::remove_cv_t<terms_of<Own>>>::type;
      constexpr bool own = (overrides<Args, Kind>(Place::student) || ...);
      constexpr bool read = part_reads<Plan, Kind>(FirstAtLogits);
      if constexpr (!own && read) {
        return std::tie(a);
      } else {
        return std::tuple<>();
      }
    }
  }
  // Losses between layers whose number is known at run time: a call for each pair, which adds to the gradient.

  /// Whether all pairs name layers that are there: asked before any part adds to what it learns.
  template <bool Gradient>
  void check_layers() const {
    each_layered(e_, 0, 1, [&]<class L>(const L& layers, double) {
      using Place = typename L::place;
      for (std::size_t k = 0; k < layers.map.size(); ++k) {
        const layer_pair p = layers.map[k];
        check_side(&student_, k, p.student, Place::student, "student");
        if constexpr (reads_teacher<typename L::loss_type>() && !std::is_void_v<Teacher>)
          check_side(teacher_, k, p.teacher, Place::teacher, "teacher");
        const auto check_gradient = [&](const auto& a) {
          if constexpr (Gradient && std::is_same_v<kind_of_argument_t<std::remove_cvref_t<decltype(a)>>, gradient_tag>)
            check_side(a.all, k, p.student, Place::student, "gradient");
        };
        std::apply([&](const auto&... a) { (check_gradient(a), ...); }, args_);
      }
    });
  }
  template <class X>
  static void check_side(X* x, std::size_t k, std::size_t index, std::string_view output, const char* side) {
    const auto check = [&](const auto& layers, std::string_view name) {
      if (name == output) check_layer(k, index, layers_in(layers), output, side);
    };
    if constexpr (is_outputs<X>) {
      [&]<class... Output>(const outputs<Output...>& all) {
        std::apply([&](const auto&... o) { (check(o.value, Output::name.view()), ...); }, all.all);
      }(*x);
    } else {
      check(*x, logits_name);
    }
  }

  /// f(objective, pair, arguments) for each pair of layers.
  template <bool Gradient, class F>
  void each_layer(const F& f) const {
    double at = 0;
    const auto take = [&](const auto& a) {
      if constexpr (std::is_same_v<std::remove_cvref_t<decltype(a)>, progress>) at = a.fraction();
    };
    if constexpr (has_layers<E>()) std::apply([&](const auto&... a) { (take(a), ...); }, args_);
    each_layered(e_, at, 1, [&]<class L>(const L& layers, double weight) { pairs_of<Gradient>(layers, weight, f); });
  }
  template <bool Gradient, class L, class F>
  void pairs_of(const L& layers, double weight, const F& f) const {
    using Own = typename L::loss_type;
    using Place = typename L::place;
    constexpr std::size_t at = output_index<Student>(Place::student);
    static_assert(at < outputs_in<Student>(), "limbeck: at_layers<\"name\"> names an output that the student does not have");
    auto& s = output_at<at < outputs_in<Student>() ? at : 0>(student_);
    using Layers = std::remove_cvref_t<decltype(s)>;
    static_assert(layer_list<Layers>,
                  "limbeck: at_layers<\"name\"> names an output of the student that is no list of tensors (an array, a span or a "
                  "vector); at<\"name\"> is for one tensor");
    if constexpr (layer_list<Layers>) {
      for (std::size_t k = 0; k < layers.map.size(); ++k) {
        const layer_pair p = layers.map[k];
        const weighted_loss<constant, Own> objective(constant(weight), layers.losses[k]);
        std::apply([&](auto&&... a) { f(objective, p, a...); },
                   std::tuple_cat(std::tie(s[p.student]), layer_of_teacher<Place, Own>(p.teacher),
                                  std::apply(
                                      [&](auto&... a) {
                                        return std::tuple_cat(keep_for_layer<Place, Own, Gradient>(a, p.student)...);
                                      },
                                      args_),
                                  std::tuple<const unread_argument&>(unread_is_fine)));
      }
    }
  }
  template <class Place, class Own>
  auto layer_of_teacher([[maybe_unused]] std::size_t index) const {
    if constexpr (!reads_teacher<Own>() || std::is_void_v<Teacher>) {
      return std::tuple<>();
    } else {
      constexpr std::size_t at = output_index<Teacher>(Place::teacher);
      static_assert(at < outputs_in<Teacher>(), "limbeck: at_layers<\"name\"> names an output that the teacher does not have");
      auto& t = output_at<at < outputs_in<Teacher>() ? at : 0>(*teacher_);
      return std::tie(layer_at(t, index));
    }
  }
  template <class Place, class Own, bool Gradient, class A>
  auto keep_for_layer(A& a, [[maybe_unused]] std::size_t index) const {
    if constexpr (!std::is_same_v<kind_of_argument_t<std::remove_cvref_t<A>>, gradient_tag>) {
      return keep_at<Place, Own, false>(a);
    } else if constexpr (!Gradient) {
      return std::tuple<>();
    } else {
      using G = std::remove_cvref_t<decltype(*a.all)>;
      constexpr std::size_t at = output_index<G>(Place::student);
      static_assert(at < outputs_in<G>(),
                    "limbeck: into(outputs{...}) lacks the gradients of the layers that a loss looks at");
      auto& all = output_at<at < outputs_in<G>() ? at : 0>(*a.all);
      static_assert(layer_list<std::remove_cvref_t<decltype(all)>>,
                    "limbeck: the gradients of layers are a list of tensors, as the layers are");
      auto g = add_to(layer_at(all, index));
      return std::tuple<decltype(g)>(g);
    }
  }
  /// Whether @p A is for this output what @p Kind is for all.
  template <class A, class Kind>
  static constexpr bool overrides(std::string_view student) {
    using Bare = std::remove_cvref_t<A>;
    if constexpr (is_located<Bare>) {
      return Bare::output.view() == student && std::is_same_v<kind_of_argument_t<decltype(Bare::argument)>, Kind>;
    } else {
      return false;
    }
  }
  template <std::size_t Index, class A>
  auto gradient_of_part(A& a) const {
    constexpr auto self = parts<E>.all[Index];
    if constexpr (requires { a.all->all; }) {
      using G = std::remove_cvref_t<decltype(*a.all)>;
      constexpr std::size_t at = output_index<G>(self.student);
      static_assert(at < outputs_in<G>(),
                    "limbeck: into(outputs{...}) lacks the gradient of an output that a loss looks at");
      constexpr std::size_t known = at < outputs_in<G>() ? at : 0;  // no second error
      auto g = into(output_at<known>(*a.all));
      g.add = a.add;
      return g;
    } else {
      static_assert(
          outputs_in<Student>() == 1,
          "limbeck: the student has several outputs; their gradients go into(outputs{output<\"name\">(g), ...})");
      return a;
    }
  }
  /// That of the output in the teacher's place.
  template <std::size_t Index, class A>
  auto gradient_of_second(A& a) const {
    constexpr auto self = parts<E>.all[Index];
    using G = std::remove_cvref_t<decltype(*a.all)>;
    constexpr std::size_t at = output_index<G>(self.teacher);
    static_assert(at < outputs_in<G>(), "limbeck: into(outputs{...}) lacks the gradient of an output that a loss looks at");
    constexpr std::size_t known = at < outputs_in<G>() ? at : 0;  // no second error
    auto g = into_teacher(output_at<known>(*a.all));
    g.add = a.add;
    return g;
  }
  /// Outputs that no loss looks at have a gradient of zeros.
  void clear_unread() const {
    const auto clear = [&](auto& a) {
      if constexpr (requires { a.all->all; }) {
        using G = std::remove_cvref_t<decltype(*a.all)>;
        if (a.add) return;
        [&]<class... Output>(const outputs<Output...>*) {
          const auto one = [&]<class O>(std::type_identity<O>) {
            constexpr auto& all = parts<E>;
            constexpr bool read = all.writer(O::name.view()) != all.count;
            if constexpr (!read)
              std::apply([&](const auto&... all_args) { clear_gradient<memory_of_call<std::remove_cvref_t<Student>, std::remove_cvref_t<Args>...>>(
                  output_at<output_index<G>(O::name.view())>(*a.all), all_args...); }, args_);
          };
          (one(std::type_identity<Output>{}), ...);
        }(static_cast<G*>(nullptr));
      }
    };
    std::apply([&](auto&... a) { (clear(a), ...); }, args_);
  }

  const E& e_;
  Student& student_;
  Teacher* teacher_;
  std::tuple<Args&...> args_;
};

/// Whether a call is one by name.
template <class E, class... A>
constexpr bool by_name() {
  return has_places<E>() ||
         ((is_outputs<A> || is_located<std::remove_cvref_t<A>> || is_a<std::remove_cvref_t<A>, gradients_argument>) ||
          ...);
}

template <class E, class First, class... Rest>
constexpr bool is_named_teacher() {
  using Bare = std::remove_cvref_t<First>;
  if constexpr (is_outputs<Bare> || tensor<Bare> || target<Bare> || (is_head<Bare> && !is_named<Bare>)) {
    return true;
  } else if constexpr (run_time_tensor<Bare>) {
    return ((run_time_tensor<std::remove_cvref_t<Rest>> || is_labels<std::remove_cvref_t<Rest>> ||
             is_located<std::remove_cvref_t<Rest>>) ||
            ...) ||
           parts<E>.taught() || layers_read_teacher<E>();
  } else {
    return false;
  }
}

/// f(named_call) of the arguments of a call.
template <class E, class F, class Student, class... Args>
auto with_named(const E& e, F&& f, Student& student, Args&... args) {
  if constexpr (sizeof...(Args) == 0) {
    if constexpr (require_parts<E, Student, void>()) {
      return f(named_call<E, Student, void>(e, student, nullptr));
    } else {
      return evaluation{};
    }
  } else {
    return [&]<class First, class... Rest>(First& first, Rest&... rest) {
      if constexpr (is_named_teacher<E, First, Rest...>()) {
        if constexpr (require_parts<E, Student, First, std::remove_cvref_t<Rest>...>()) {
          return f(named_call<E, Student, First, Rest...>(e, student, &first, rest...));
        } else {
          return evaluation{};
        }
      } else {
        if constexpr (require_parts<E, Student, void, std::remove_cvref_t<First>, std::remove_cvref_t<Rest>...>()) {
          return f(named_call<E, Student, void, First, Rest...>(e, student, nullptr, first, rest...));
        } else {
          return evaluation{};
        }
      }
    }(args...);
  }
}

}  // namespace detail
/// @endcond

LIMBECK_END_NAMESPACE

#endif
