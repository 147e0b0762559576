#ifndef LIMBECK_TRAINER_STEP_HPP
#define LIMBECK_TRAINER_STEP_HPP

/// @file
/// One part of a step: an objective over one micro-batch, in the name of the whole batch.

#include <limbeck/trainer/concepts.hpp>

#include <algorithm>
#include <optional>
#include <string_view>
#include <tuple>

LIMBECK_BEGIN_NAMESPACE

namespace detail {

/// A micro-batch, and where its rows stand in the data.
template <class Batch>
struct micro_batch {
  Batch batch;
  std::vector<std::size_t> source;
};
/// A batch in micro-batches, and the weights of its outputs' rows that count. Over ranks the parts are this rank's, the weights
/// those of all.
template <class Batch>
struct whole_batch {
  const training_ranks& ranks;
  bool finite = false;  ///< whether the step is refused where its loss or its gradient is not finite
  std::vector<micro_batch<Batch>> parts{};
  std::vector<std::string_view> names{};  ///< of outputs; the first is "logits"
  std::vector<double> weights{};          ///< of these
  /// Whether there is nothing beside a part.
  bool is_one() const { return parts.size() == 1 && ranks.size() == 1; }
};

template <class X>
std::size_t rows_of_tensor(const X& x) {
  if constexpr (is_head<X>) {
    return rows_of_tensor(x.hidden);
  } else if constexpr (run_time_tensor<X>) {
    const any_tensor view = any_tensor_traits<X>::view(x);
    std::size_t rows = 1;
    for (std::size_t i = 0; i + 1 < view.rank; ++i) rows *= static_cast<std::size_t>(view.shape[i]);
    return rows;
  } else {
    return tensor_traits<X>::view(x).samples;
  }
}

/// Numbers of a batch, as a call reads them.
template <class V>
any_vector vector_of(const V& v, const char* name) {
  if constexpr (run_time_tensor<V>) {
    return any_tensor_traits<V>::view(v).vector(name);
  } else {
    return view_vector(v);
  }
}

/// What a batch has for one output of the student: its own where the member is `outputs`, else that of all.
template <fixed_string Name, class Member, class F>
void at_output(const Member& m, const F& f) {
  if constexpr (!is_outputs<Member>) {
    f(m);
  } else if constexpr (Member::template has<Name>) {
    f(m.template of<Name>());
  }
}

/// The rows of logits that a batch speaks of, and the sum of the weights of those that count.
struct counted {
  std::size_t rows = 0;
  double weight = 0;
  bool any = false;  ///< whether a row counts
};
/// By its labels, weights, mask and soft labels, else the rows drawn; the weight by its total, where it says one.
template <fixed_string Name, class Batch>
counted count_rows(const Batch& b, std::size_t drawn) {
  any_vector labels, weights, mask;
  std::optional<std::size_t> rows;
  const auto take = [&](any_vector& to, const char* what) {
    return [&to, &rows, what](const auto& v) {
      to = vector_of(v, what);
      if (!rows) rows = to.size();
    };
  };
  if constexpr (requires { b.labels; }) at_output<Name>(b.labels, take(labels, "labels"));
  if constexpr (requires { b.row_weights; }) at_output<Name>(b.row_weights, take(weights, "row_weights"));
  if constexpr (requires { b.row_mask; }) at_output<Name>(b.row_mask, take(mask, "row_mask"));
  if constexpr (requires { b.soft_labels; })
    at_output<Name>(b.soft_labels, [&](const auto& p) {
      if (!rows) rows = rows_of_tensor(p);
    });
  counted all{rows.value_or(drawn)};
  for (std::size_t r = 0; r < all.rows; ++r) {
    if (r < labels.size() && labels.integer(r) == -100) continue;
    if (r < mask.size() && mask.number(r) == 0) continue;
    const double weight = r < weights.size() ? weights.number(r) : 1;
    all.weight += weight;
    all.any = all.any || weight != 0;
  }
  if constexpr (requires { b.total; })
    at_output<Name>(b.total, [&](double total) {
      if (!(total >= 0 && total - total == 0))
        raise<value_error>("limbeck: total is " + show(total) + " of a batch, expected a finite number that is at least 0");
      if (total == 0 && all.any)
        raise<value_error>("limbeck: total is 0 of a batch of which rows count, expected what the sum of their losses is divided by; a "
                           "row_mask of 0 leaves rows out");
      all.weight = total;
    });
  return all;
}
/// Whether a batch says over what an output is reduced.
template <fixed_string Name, class Batch>
constexpr bool says_total() {
  if constexpr (requires(const Batch& b) { b.total; }) {
    using Total = std::remove_cvref_t<decltype(std::declval<const Batch&>().total)>;
    if constexpr (is_outputs<Total>) return Total::template has<Name>;
    else return true;
  } else {
    return false;
  }
}

/// Counts the rows of one output in all parts.
template <fixed_string Name, class Batch>
void weigh(whole_batch<Batch>& whole) {
  double weight = 0;
  if (Name.view() == logits_name || !whole.is_one() || says_total<Name, Batch>())
    for (const auto& p : whole.parts) weight += count_rows<Name>(p.batch, p.source.size()).weight;
  whole.names.push_back(Name.view());
  whole.weights.push_back(weight);
}
/// The outputs that students give whose logits are of these types, "logits" first; one may come twice.
template <class... Logits>
struct given_outputs {
  static constexpr std::size_t count = 1;
  template <class Batch>
  static void weigh_all(whole_batch<Batch>& whole) {
    weigh<"logits">(whole);
  }
};
template <class First, class... More>
struct given_outputs<First, More...> : given_outputs<More...> {};
template <class... Output, class... More>
struct given_outputs<outputs<Output...>, More...> {
  using rest = given_outputs<More...>;
  static constexpr std::size_t count = sizeof...(Output) + rest::count;
  template <class Batch>
  static void weigh_all(whole_batch<Batch>& whole) {
    rest::weigh_all(whole);
    (weigh<Output::name>(whole), ...);
  }
};

/// Over which weight each output of the student is reduced: that of the whole batch. A batch in one part is its own
/// whole, whatever rows an output has.
/// @throws shape_error where the rows of an output are not those that the batch speaks of, so that the weight of the
/// whole is not known.
template <fixed_string Name, class Batch, class Output>
reduction_argument reduction_over(const whole_batch<Batch>& whole, const micro_batch<Batch>& part, const Output& output) {
  if constexpr (layer_list<Output>) {  // of as many rows, all of them
    reduction_argument all = mean;
    for (std::size_t i = 0; i < output.size(); ++i) all = reduction_over<Name>(whole, part, output[i]);
    return all;
  } else {
    const std::size_t rows = rows_of_tensor(output), known = count_rows<Name>(part.batch, part.source.size()).rows;
    if (known != rows && !says_total<Name, Batch>())
      raise<shape_error>("limbeck: the student gave " + std::to_string(rows) + " rows of " + std::string(Name.view()) +
                         ", the batch has " + std::to_string(known) +
                         "; where a row that is drawn gives several, the batch has labels or row_weights, one a row of " +
                         std::string(Name.view()));
    const auto at = std::find(whole.names.begin(), whole.names.end(), Name.view()) - whole.names.begin();
    const double weight = whole.weights[static_cast<std::size_t>(at)];
    return weight > 0 ? mean_over(weight) : mean;
  }
}
template <class Batch, class Logits>
auto reductions(const whole_batch<Batch>& whole, const micro_batch<Batch>& part, const Logits& logits) {
  if constexpr (!is_outputs<Logits>) {
    return std::tuple(reduction_over<"logits">(whole, part, logits));
  } else {
    return [&]<class... Output>(const outputs<Output...>& all) {
      const auto one = [&](const auto& o) {
        constexpr auto name = std::remove_cvref_t<decltype(o)>::name;
        return at<name>(whole.is_one() && !says_total<name, Batch>() ? mean : reduction_over<name>(whole, part, o.value));
      };
      return std::apply([&](const auto&... o) { return std::tuple(one(o)...); }, all.all);
    }(logits);
  }
}

/// A member of a batch, as arguments of a call: one for all outputs, or one for each that it names.
template <class Member, class F>
auto member_arguments(const Member& m, const F& f) {
  if constexpr (is_outputs<Member>) {
    return std::apply(
        [&](const auto&... o) {
          return std::tuple(at<std::remove_cvref_t<decltype(o)>::name>(std::get<0>(f(o.value)))...);
        },
        m.all);
  } else {
    return f(m);
  }
}
/// What goes to the objective after the logits.
template <class Batch>
auto arguments_of(const Batch& b) {
  const auto label = [&] {
    if constexpr (requires { b.labels; }) {
      return member_arguments(b.labels, [](const auto& y) { return std::tie(y); });
    } else {
      return std::tuple<>();
    }
  };
  const auto weight = [&] {
    if constexpr (requires { b.row_weights; }) {
      return member_arguments(b.row_weights, [](const auto& w) { return std::tuple(limbeck::row_weights(w)); });
    } else {
      return std::tuple<>();
    }
  };
  const auto mask = [&] {
    if constexpr (requires { b.row_mask; }) {
      return member_arguments(b.row_mask, [](const auto& m) { return std::tuple(limbeck::row_mask(m)); });
    } else {
      return std::tuple<>();
    }
  };
  const auto soft = [&] {
    if constexpr (requires { b.soft_labels; }) {
      return member_arguments(b.soft_labels, [](const auto& p) { return std::tuple(limbeck::soft_labels(p)); });
    } else {
      return std::tuple<>();
    }
  };
  return std::tuple_cat(label(), weight(), mask(), soft());
}

/// An objective; a bare loss becomes one.
template <class Objective>
decltype(auto) callable_objective(Objective& o) {
  if constexpr (loss<Objective> && !requires { o.plan(); }) {
    return limbeck::objective<std::remove_const_t<Objective>>{o};
  } else {
    return (o);
  }
}

/// Calls an objective on a part of a batch; @p teacher is a tensor, a target, `outputs` or no_teacher. Returns the
/// part's share of the loss of the whole, and hands what the objective returned to @p seen.
template <class Objective, class Logits, class Teacher, class Batch, class Gradient, class Workspace, class Seen>
double call_objective(Objective& objective, const Logits& logits, const Teacher& teacher, const whole_batch<Batch>& whole,
                      const micro_batch<Batch>& part, progress p, Gradient gradient, Workspace& ws, const Seen& seen) {
  auto&& callable = callable_objective(objective);
  const auto call = [&](const auto&... rest) {
    // what the trainer has is passed on, read or not; a callable of its own may take exactly what it knows
    const auto with = [&](const auto&... all) {
      if constexpr (requires { callable(all..., p, gradient, ws, unread_is_fine); }) {
        return callable(all..., p, gradient, ws, unread_is_fine);
      } else {
        return callable(all..., p, gradient, ws);
      }
    };
    const auto run = [&] {
      if constexpr (std::is_same_v<Teacher, no_teacher>) {
        return with(logits, rest...);
      } else {
        return with(logits, teacher, rest...);
      }
    };
    static_assert(!std::is_void_v<decltype(run())>,
                  "limbeck: this objective returns nothing; the trainer needs its loss, or an evaluation, at once");
    const auto result = run();
    seen(result);
    if constexpr (requires { result.loss; }) {
      return static_cast<double>(result.loss);
    } else {
      return static_cast<double>(result);
    }
  };
  return std::apply(call, std::tuple_cat(arguments_of(part.batch), reductions(whole, part, logits)));
}

/// @throws value_error where a loss, or a gradient on the host, is not finite.
inline void require_finite(double loss) {
  if (loss - loss != 0) raise<value_error>("limbeck: the loss of this step is " + show(loss));
}
template <class T>
void require_finite_rows(const rows<T>& x, const std::string& of) {
  for (std::size_t r = 0; r < x.samples; ++r)
    for (std::size_t c = 0; c < x.classes; ++c)
      if (const double d = static_cast<double>(x(r, c)); d - d != 0)
        raise<value_error>("limbeck: the gradient " + of + "of this step is " + show(d) + " at row " + std::to_string(r) +
                           ", column " + std::to_string(c));
}
template <class Gradient>
void require_finite(double loss, const Gradient& g, const std::string& of = "") {
  require_finite(loss);
  if constexpr (is_outputs<Gradient>) {
    std::apply([&](const auto&... o) { (require_finite(loss, o.value, "at " + std::string(o.name.view()) + ' '), ...); },
               g.all);
  } else if constexpr (requires { g.layers; }) {
    for (std::size_t i = 0; i < g.size(); ++i) require_finite(loss, g[i], of + "layer " + std::to_string(i) + ' ');
  } else if constexpr (is_head<Gradient>) {
    g.each([&](const any_tensor& x, const char* name) { require_finite(loss, x, of + "of the head's " + name + ' '); });
  } else if constexpr (run_time_tensor<Gradient>) {
    const any_tensor x = any_tensor_traits<Gradient>::view(g);
    if (x.type == element_type::float64) {
      require_finite_rows(x.template rows<const double>("gradient"), of);
    } else {
      require_finite_rows(x.template rows<const float>("gradient"), of);
    }
  } else if constexpr (std::is_same_v<typename tensor_traits<Gradient>::sweep, host_rows>) {
    require_finite_rows(tensor_traits<Gradient>::view(g), of);
  }
}

/// Multiplies a gradient on the host.
template <class T>
void scale_rows(const rows<T>& x, double factor) {
  for (std::size_t r = 0; r < x.samples; ++r)
    for (std::size_t c = 0; c < x.classes; ++c) x(r, c) = static_cast<T>(static_cast<double>(x(r, c)) * factor);
}
template <class Gradient>
void scale_gradient(Gradient& g, double factor) {
  if constexpr (is_outputs<Gradient>) {
    std::apply([&](auto&... o) { (scale_gradient(o.value, factor), ...); }, g.all);
  } else if constexpr (layer_list<std::remove_const_t<Gradient>>) {
    for (auto& x : g) scale_gradient(x, factor);
  } else if constexpr (is_head<Gradient>) {
    g.each([&](const any_tensor& x, const char*) { scale_gradient(x, factor); });
  } else if constexpr (run_time_tensor<Gradient>) {
    const any_tensor x = any_tensor_traits<std::remove_const_t<Gradient>>::view(g);
    if (x.type == element_type::float64) {
      scale_rows(x.template rows<double>("gradient"), factor);
    } else {
      scale_rows(x.template rows<float>("gradient"), factor);
    }
  } else {
    scale_rows(tensor_traits<Gradient>::view(g), factor);
  }
}

/// The scratch memory for logits, by where they live; those of several outputs live in one place.
template <class Logits>
struct sweep_of {
  using type = typename tensor_traits<Logits>::sweep;
};
template <class Logits>
  requires(run_time_tensor<Logits> || is_head<Logits>)
struct sweep_of<Logits> {
  using type = host_rows;
};
template <layer_list Layers>
struct sweep_of<Layers> : sweep_of<std::remove_cvref_t<decltype(std::declval<const Layers&>()[0])>> {};
template <class First, class... Output>
struct sweep_of<outputs<First, Output...>> : sweep_of<std::remove_cvref_t<decltype(First::value)>> {};
template <class Logits>
using workspace_for_logits = workspace_of<typename sweep_of<Logits>::type>;

}  // namespace detail

LIMBECK_END_NAMESPACE

#endif
