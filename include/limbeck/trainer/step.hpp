#ifndef LIMBECK_TRAINER_STEP_HPP
#define LIMBECK_TRAINER_STEP_HPP

/// @file
/// One part of a step: an objective over one micro-batch, in the name of the whole batch.

#include <limbeck/trainer/concepts.hpp>

#include <tuple>

LIMBECK_BEGIN_NAMESPACE

namespace detail {

/// A micro-batch, and where its rows stand in the data.
template <class Batch>
struct micro_batch {
  Batch batch;
  std::vector<std::size_t> source;
};
/// A batch in micro-batches, and the weight of its rows that count.
template <class Batch>
struct whole_batch {
  std::vector<micro_batch<Batch>> parts;
  double weight = 0;
  bool finite = false;  ///< whether the step is refused where its loss or its gradient is not finite
};

/// The rows of logits that a batch speaks of: those of its labels, weights or soft labels, else the rows drawn.
template <class Batch>
std::size_t rows_of_batch(const Batch& b, std::size_t drawn) {
  if constexpr (requires { b.labels; }) {
    return view_vector(b.labels).size();
  } else if constexpr (requires { b.row_weights; }) {
    return view_vector(b.row_weights).size();
  } else if constexpr (requires { tensor_traits<std::remove_cvref_t<decltype(b.soft_labels)>>::view(b.soft_labels); }) {
    return tensor_traits<std::remove_cvref_t<decltype(b.soft_labels)>>::view(b.soft_labels).samples;
  } else {
    return drawn;
  }
}

/// The sum of the weights of the rows with a label, or of all rows where the batch has no labels.
template <class Batch>
double weight_of(const Batch& b, std::size_t drawn) {
  any_vector labels, weights;
  if constexpr (requires { b.labels; }) labels = view_vector(b.labels);
  if constexpr (requires { b.row_weights; }) weights = view_vector(b.row_weights);
  double total = 0;
  for (std::size_t r = 0; r < rows_of_batch(b, drawn); ++r) {
    if (r < labels.size() && labels.integer(r) == -100) continue;
    total += r < weights.size() ? weights.number(r) : 1;
  }
  return total;
}

/// The mean of a step is over what `weight_of` has counted.
/// @throws shape_error where the logits have other rows than that.
template <class Batch, class Logits>
void require_counted(const micro_batch<Batch>& part, const Logits& logits) {
  const std::size_t counted = rows_of_batch(part.batch, part.source.size()),
                    rows = tensor_traits<Logits>::view(logits).samples;
  if (counted != rows)
    raise<shape_error>("limbeck: the student gave " + std::to_string(rows) + " rows of logits, the batch has " +
                       std::to_string(counted) +
                       "; where a row that is drawn gives several, the batch has labels or row_weights, one a row of logits");
}

/// What goes to the objective after the logits.
template <class Batch>
auto arguments_of(const Batch& b) {
  const auto label = [&] {
    if constexpr (requires { b.labels; }) {
      return std::tie(b.labels);
    } else {
      return std::tuple<>();
    }
  };
  const auto weight = [&] {
    if constexpr (requires { b.row_weights; }) {
      return std::make_tuple(limbeck::row_weights(b.row_weights));
    } else {
      return std::tuple<>();
    }
  };
  const auto soft = [&] {
    if constexpr (requires { b.soft_labels; }) {
      return std::make_tuple(limbeck::soft_labels(b.soft_labels));
    } else {
      return std::tuple<>();
    }
  };
  return std::tuple_cat(label(), weight(), soft());
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

/// Calls an objective; @p teacher is a tensor, a target or no_teacher. Returns its part of the mean over @p weight.
template <class Objective, class Logits, class Teacher, class Batch, class Gradient, class Workspace>
double call_objective(Objective& objective, const Logits& logits, const Teacher& teacher, const Batch& batch,
                      progress p, Gradient gradient, Workspace& ws, double weight) {
  auto&& callable = callable_objective(objective);
  const auto reduce = weight > 0 ? mean_over(weight) : mean;
  const auto call = [&](const auto&... rest) {
    // what the trainer has is passed on, read or not; a callable of its own may take exactly what it knows
    const auto with = [&](const auto&... all) {
      if constexpr (requires { callable(all..., p, into(gradient), ws, reduce, unread_is_fine); }) {
        return callable(all..., p, into(gradient), ws, reduce, unread_is_fine);
      } else {
        return callable(all..., p, into(gradient), ws, reduce);
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
    if constexpr (requires { run().loss; }) {
      return static_cast<double>(run().loss);
    } else {
      return static_cast<double>(run());
    }
  };
  return std::apply(call, arguments_of(batch));
}

/// @throws value_error where a loss, or a gradient on the host, is not finite.
template <class Gradient>
void require_finite(double loss, const Gradient& g) {
  if (loss - loss != 0) raise<value_error>("limbeck: the loss of this step is " + show(loss));
  if constexpr (std::is_same_v<typename tensor_traits<Gradient>::sweep, host_rows>) {
    const auto x = tensor_traits<Gradient>::view(g);
    for (std::size_t r = 0; r < x.samples; ++r)
      for (std::size_t c = 0; c < x.classes; ++c)
        if (const double d = static_cast<double>(x(r, c)); d - d != 0)
          raise<value_error>("limbeck: the gradient of this step is " + show(d) + " at row " + std::to_string(r) +
                             ", column " + std::to_string(c));
  }
}

template <class Logits>
using workspace_for_logits = workspace_of<typename tensor_traits<Logits>::sweep>;

}  // namespace detail

LIMBECK_END_NAMESPACE

#endif
