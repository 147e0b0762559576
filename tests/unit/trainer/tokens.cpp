// Sequences of several lengths in the trainer: whatever the micro-batch, packed or padded, the same run.

#include "catch.hpp"
#include "stops.hpp"
#include "toy.hpp"

#include <limbeck/tokens.hpp>
#include <limbeck/trainer.hpp>

#include <algorithm>
#include <limits>
#include <optional>
#include <utility>

namespace lk = limbeck;

namespace {

enum class over { tokens, sequences, count };

/// A mini-batch of sequences: its rows are tokens. Masks or weights say what counts, and of a count the batch says it.
struct drawn_sequences {
  std::vector<double> inputs;
  std::vector<int> labels;
  std::vector<double> row_weights;
};
struct counted_sequences : drawn_sequences {
  double total;
};

/// Sequences of 2 to 9 tokens, whose first ones are a prompt; a token is drawn by the features of the one before.
template <class Batch>
struct sequences {
  lk::segments all;
  std::vector<double> x;
  std::vector<int> tokens, prompts;
  over what;
  std::optional<bool> left;  ///< padding, on which side; none: packed

  sequences(over reduced, std::optional<bool> padded) : what(reduced), left(padded) {
    lk::random_stream random(11);
    std::vector<std::size_t> lengths(13);
    for (auto& n : lengths) n = 2 + random.below(8), prompts.push_back(static_cast<int>(random.below(n)));
    all = lk::segments::of_lengths(lengths);
    for (std::size_t r = 0; r < all.rows(); ++r) {
      tokens.push_back(static_cast<int>(random.below(toy::classes)));
      for (std::size_t f = 0; f < toy::features; ++f) x.push_back(random.normal() + (f == r % 3 ? 1 : 0));
    }
  }
  std::size_t size() const { return all.size(); }
  Batch batch(std::span<const std::size_t> which) const {
    std::vector<std::size_t> lengths;
    std::vector<int> y, prompt;
    std::vector<double> features;
    for (const std::size_t s : which) {
      lengths.push_back(all.length(s));
      prompt.push_back(prompts[s]);
      y.insert(y.end(), tokens.begin() + static_cast<std::ptrdiff_t>(all.begin(s)),
               tokens.begin() + static_cast<std::ptrdiff_t>(all.end(s)));
      features.insert(features.end(), x.begin() + static_cast<std::ptrdiff_t>(all.begin(s) * toy::features),
                      x.begin() + static_cast<std::ptrdiff_t>(all.end(s) * toy::features));
    }
    const auto s = lk::segments::of_lengths(lengths);
    std::vector<double> mask(s.rows()), weights(s.rows());
    lk::next_tokens(y, s, y);
    lk::response_mask(s, prompt, mask);
    what == over::sequences ? lk::token_weights(s, mask, lk::per_sequence, weights)
                            : lk::token_weights(s, mask, lk::per_token, weights);
    Batch b;
    if (!left) {
      b.inputs = features, b.labels = y, b.row_weights = weights;
    } else {
      const std::size_t time = *std::max_element(lengths.begin(), lengths.end());
      std::vector<std::size_t> places(s.rows());
      lk::padded_places(s, {.time = time, .left = *left}, places);
      b.inputs.assign(s.size() * time * toy::features, 100);  // what stands in padding is of no account
      b.labels.resize(s.size() * time);
      b.row_weights.resize(s.size() * time);
      for (std::size_t r = 0; r < s.rows(); ++r)
        std::copy_n(features.begin() + static_cast<std::ptrdiff_t>(r * toy::features), toy::features,
                    b.inputs.begin() + static_cast<std::ptrdiff_t>(places[r] * toy::features));
      lk::to_padded(y, places, 1, b.labels);  // a token like any other; its weight is 0
      lk::to_padded(weights, places, 0, b.row_weights);
    }
    if constexpr (requires { b.total; }) b.total = 9.0 * static_cast<double>(which.size());
    return b;
  }
};

const auto objective = 0.4 * lk::cross_entropy{} + 0.6 * lk::at_temperature(2.0, lk::reverse_kl{});

/// The first steps written out: the definition of each reduction, in long double.
std::vector<double> by_hand(over what, std::size_t batch, std::size_t steps) {
  const sequences<drawn_sequences> data(what, {});
  toy::linear student, teacher(5);
  toy::sgd optimizer;
  std::vector<std::size_t> order(data.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
  lk::random_stream(0).split(0).shuffle(order);
  for (std::size_t step = 0; step < steps; ++step) {
    const std::span<const std::size_t> rows =
        std::span(order).subspan(step * batch, (std::min)(batch, order.size() - step * batch));
    student.zero_gradients();
    long double count = 0;
    const auto of_response = [&](std::size_t s) {
      return data.all.length(s) - static_cast<std::size_t>((std::max)(data.prompts[s], 1));
    };
    for (const std::size_t s : rows)
      count += what == over::tokens ? of_response(s) : what == over::sequences ? of_response(s) > 0 : 9;
    for (const std::size_t s : rows)
      for (std::size_t t = static_cast<std::size_t>((std::max)(data.prompts[s], 1)); t < data.all.length(s); ++t) {
        const std::size_t at = data.all.begin(s) + t - 1;  // the row that predicts token t
        const std::vector<double> features(data.x.begin() + static_cast<std::ptrdiff_t>(at * toy::features),
                                           data.x.begin() + static_cast<std::ptrdiff_t>((at + 1) * toy::features));
        const std::vector<int> label{data.tokens[at + 1]};
        const auto mine = student.forward(features), theirs = teacher.forward(features);
        auto result = lk::objective{objective}(mine, theirs, label, lk::sum);
        const auto w = static_cast<double>(
            (what == over::sequences ? 1.0L / static_cast<long double>(of_response(s)) : 1.0L) / count);
        for (double& g : result.gradient) g *= w;
        student.backward({result.gradient.data(), 1, toy::classes});
      }
    optimizer.step(student, lk::progress(step, steps));
  }
  return student.weights();
}

template <class Batch>
std::vector<double> trained(over what, std::optional<bool> padded, const lk::fit_settings& how,
                            double* loss = nullptr) {
  sequences<Batch> data(what, padded);
  toy::linear student, teacher(5);
  lk::trainer trainer{student, teacher, objective, toy::sgd{}};
  const auto result = trainer.fit(data, how);
  if (loss) *loss = result.loss;
  return student.weights();
}

double apart(const std::vector<double>& a, const std::vector<double>& b) {
  double most = 0;
  for (std::size_t i = 0; i < a.size(); ++i) most = (std::max)(most, std::abs(a[i] - b[i]));
  return most;
}

/// AdaKD's choice of tokens as an objective of one's own: the hardest share, which the loss of the run moves.
struct hardest_tokens {
  lk::kept_ratio* kept;
  template <class Student, class Teacher, class Labels, class Weights, class Over, class Gradient>
  double operator()(const Student& student, const Teacher& teacher, const Labels&, const Weights& weights,
                    const Over& reduce, lk::progress, const Gradient& gradient, lk::workspace& ws) const {
    std::vector<double> hard(weights.values.size()), used(hard.size()), mask(hard.size());
    for (std::size_t r = 0; r < used.size(); ++r) used[r] = weights.values.number(r);
    lk::measure(lk::divergence_of(lk::squared_hellinger{}), student, teacher, hard);
    lk::top_share_mask(hard, kept->ratio(), used, mask, ws);
    return lk::objective{lk::reverse_kl{}}(student, teacher, weights, lk::row_mask(mask), reduce, gradient, ws);
  }
};
struct follows_the_loss {
  lk::kept_ratio* kept;
  std::vector<double>* ratios;
  void after_step(lk::training_run& run) const {
    kept->update(run.loss);
    ratios->push_back(kept->ratio());
  }
  template <class Archive>
  void serialize(Archive& archive) {
    archive("kept", *kept);
  }
};

}  // namespace

TEST_CASE("a run over tokens, sequences or a count does not see micro-batches or padding", "[trainer][tokens]") {
  for (const over what : {over::tokens, over::sequences, over::count}) {
    const auto expected = by_hand(what, 5, 3);
    for (const std::optional<bool> padded : {std::optional<bool>(), std::optional(false), std::optional(true)}) {
      double whole = 0;
      for (const std::size_t micro : {0U, 1U, 2U, 3U}) {
        const lk::fit_settings how{.steps = 3, .batch = 5, .micro_batch = micro};
        double loss = 0;
        const auto weights = what == over::count ? trained<counted_sequences>(what, padded, how, &loss)
                                                 : trained<drawn_sequences>(what, padded, how, &loss);
        CAPTURE(static_cast<int>(what), micro, padded.has_value());
        CHECK(apart(weights, expected) < 1e-13);
        if (micro == 0) whole = loss;
        CHECK(loss == Approx(whole).epsilon(1e-12));
      }
    }
  }
  struct wrong : drawn_sequences {
    double total = -1;
  };
  toy::linear student, teacher(5);
  sequences<drawn_sequences> data(over::tokens, {});
  struct source {
    sequences<drawn_sequences>& of;
    std::size_t size() const { return of.size(); }
    wrong batch(std::span<const std::size_t> rows) const { return {of.batch(rows), -1}; }
  } bad{data};
  lk::trainer trainer{student, teacher, objective, toy::sgd{}};
  CHECK_THROWS_WITH(trainer.fit(bad, {.steps = 1}),
                    "limbeck: total is -1 of a batch, expected a finite number that is at least 0");
}

TEST_CASE("a run over tokens that the loss selects goes on where it ended", "[trainer][tokens]") {
  const auto run = [](const lk::fit_settings& how, std::uint64_t stop, std::vector<double>& ratios) {
    sequences<drawn_sequences> data(over::sequences, true);
    toy::linear student, teacher(5);
    lk::kept_ratio kept({.warm_up = 2, .tolerance = 1e-4, .step = 0.1, .momentum = 0.5});
    lk::trainer trainer{student, teacher, hardest_tokens{&kept}, toy::adam{}};
    if (stop > 0) {
      CHECK_THROWS_WITH(trainer.fit(data, how, follows_the_loss{&kept, &ratios}, toy::stops_at{stop}),
                        "the machine is gone");
    } else {
      trainer.fit(data, how, follows_the_loss{&kept, &ratios});
    }
    return student.weights();
  };
  std::vector<double> ratios;
  const auto whole = run({.steps = 12, .batch = 5, .micro_batch = 2}, 0, ratios);
  CHECK(ratios.back() < 1);
  for (const std::uint64_t stop : {3U, 7U}) {
    const toy::temporary file("tokens");
    const lk::fit_settings how{
        .steps = 12, .batch = 5, .micro_batch = 2, .checkpoint = file.path, .checkpoint_every = 1};
    std::vector<double> again;
    run(how, stop, again);
    again.clear();
    CHECK(run(how, 0, again) == whole);
    CHECK(std::equal(again.rbegin(), again.rend(), ratios.rbegin()));
  }
}

TEST_CASE("validation counts the rows of the mask", "[trainer][tokens]") {
  struct padded {
    std::vector<double> inputs;
    std::vector<int> labels;
    std::vector<unsigned char> row_mask;
  };
  struct source {
    std::size_t size() const { return 2; }
    padded batch(std::span<const std::size_t> rows) const {
      padded b;
      for (const std::size_t s : rows)
        for (std::size_t t = 0; t < 3; ++t) {
          const bool real = t < s + 1;
          for (std::size_t f = 0; f < toy::features; ++f)
            b.inputs.push_back(real ? static_cast<double>(f + s) - static_cast<double>(t)
                                    : std::numeric_limits<double>::quiet_NaN());
          b.labels.push_back(real ? 1 : 77);  // no class
          b.row_mask.push_back(real);
        }
      return b;
    }
  } data;
  toy::linear model;
  const auto all = lk::evaluate(model, data, 1);
  CHECK(all.rows_counted() == 3);
  CHECK(all.nll() > 0);
  lk::classification_metrics m;
  const std::vector<double> z(6, 0.0);
  CHECK_THROWS_WITH(m.add(lk::rows<const double>(z.data(), 2, 3), std::vector<int>{0, 1}, std::vector<int>{1}),
                    "limbeck: row_mask has 1 elements, expected 2 (one a row)");
}
