// Teachers that answer what the student gave.
#include "toy.hpp"
#include "stops.hpp"

#include "catch.hpp"

#include <limbeck/diffusion/prediction.hpp>
#include <limbeck/loss/features/feature_terms.hpp>
#include <limbeck/loss/features/specified_gradient.hpp>
#include <limbeck/trainer/trainer.hpp>

#include <string>

namespace {

namespace lk = limbeck;

/// Answers with half the difference to what another model says: specified_gradient is then feature_mse/4 to that model, by its gradient.
struct judge {
  toy::linear& better;
  std::string* log = nullptr;
  std::size_t asked = 0;
  auto answer(const toy::drawn& b, const lk::rows<const double>& given) {
    if (log) *log += "a";
    ++asked;
    const auto at = lk::levels(lk::rectified{}, 0.5);  // velocity of the half-way: given - better
    return lk::noised(given, minus(better.forward(b.inputs)), at);
  }
  lk::rows<const double> minus(const lk::rows<const double>& x) {
    negative.assign(x.data, x.data + x.samples * x.classes);
    for (double& v : negative) v = -v;
    return {negative.data(), x.samples, x.classes};
  }
  template <class Archive>
  void serialize(Archive& archive) {
    archive("asked", asked);
  }
  std::vector<double> negative{};
};

/// A student that says when it is asked.
struct logged : toy::linear {
  std::string* log;
  logged(std::uint64_t seed, std::string* to) : toy::linear(seed), log(to) {}
  lk::rows<const double> forward(const std::vector<double>& x) {
    if (log) *log += "f";
    return toy::linear::forward(x);
  }
  void backward(lk::rows<const double> g) {
    if (log) *log += "b";
    toy::linear::backward(g);
  }
};
struct sgd {
  void step(toy::linear& model, lk::progress) {
    std::size_t i = 0;
    for (const auto part : model.parameters())
      for (double& w : part) w -= 0.3 * model.gradients()[i++];
  }
};

double distance(const std::vector<double>& a, const std::vector<double>& b) {
  double d = 0;
  for (std::size_t i = 0; i < a.size(); ++i) d = (std::max)(d, std::abs(a[i] - b[i]));
  return d;
}

/// Clouds with weights and a mask.
struct weighted {
  struct batch_type : toy::drawn {
    std::vector<double> row_weights;
    std::vector<int> row_mask;
  };
  toy::clouds& data;
  std::size_t size() const { return data.size(); }
  batch_type batch(std::span<const std::size_t> rows) const {
    batch_type b{data.batch_of(rows), {}, {}};
    for (const std::size_t r : rows) b.row_weights.push_back(static_cast<double>(1 + r % 3)), b.row_mask.push_back(r % 4 != 0);
    return b;
  }
};

TEST_CASE("a teacher answers after the student's forward and before its backward, once a micro-batch", "[trainer][answer]") {
  toy::clouds data(12);
  std::string log;
  toy::linear better(9);
  logged student(3, &log);
  judge teacher{better, &log};
  lk::trainer{student, teacher, lk::specified_gradient{}, sgd{}}.fit(data, {.epochs = 1, .batch = 6, .micro_batch = 4});
  CHECK(log == "fabfabfabfab");
  CHECK(teacher.asked == 4);
}

TEST_CASE("an answer is a loss's teacher: with masks, weights, in parts, stopped and resumed", "[trainer][answer]") {
  toy::clouds clouds(24);
  const toy::temporary file("answers.ckpt");
  toy::linear better(9);
  const auto train = [&](auto&& source, auto&& teacher, const auto& loss, lk::fit_settings settings, auto... callbacks) {
    toy::linear student(3);
    settings.epochs = 3, settings.batch = 7, settings.seed = 2;
    lk::trainer{student, teacher, loss, sgd{}}.fit(source, settings, callbacks...);
    return student.weights();
  };
  // 1/2 mean g^2 with g = (x - better)/2 has the gradient g/columns: that of 1/4 of the mean of squares.
  const auto regression = 0.25 * lk::feature_mse{};
  for (const std::size_t micro : {0U, 3U}) {
    CHECK(distance(train(clouds, judge{better}, lk::specified_gradient{}, {.micro_batch = micro}),
                   train(clouds, better, regression, {})) < 1e-12);
    CHECK(distance(train(weighted{clouds}, judge{better}, lk::specified_gradient{}, {.micro_batch = micro}),
                   train(weighted{clouds}, better, regression, {})) < 1e-12);
  }
  const auto never = train(clouds, judge{better}, lk::specified_gradient{}, {});
  for (const std::uint64_t n : {1U, 5U, 11U}) {
    file.clear();
    judge first{better}, second{better};
    CHECK_THROWS(train(clouds, first, lk::specified_gradient{}, {.checkpoint = file.path, .checkpoint_every = 1}, toy::stops_at{n}));
    CHECK(train(clouds, second, lk::specified_gradient{}, {.checkpoint = file.path, .checkpoint_every = 1}) == never);
    CHECK(second.asked == 12);  // its count went on
  }
}

/// A student of two outputs.
struct forked {
  logged body;
  auto forward(const std::vector<double>& x) {
    const auto h = body.forward(x);
    return lk::outputs{lk::output<"logits">(h), lk::output<"samples">(h)};
  }
  template <class G>
  void backward(const G& g) {
    body.backward(g.template of<"logits">());
    body.backward(g.template of<"samples">());
  }
  void zero_gradients() { body.zero_gradients(); }
};
struct step_forked {
  void step(forked& m, lk::progress p) { sgd{}.step(m.body, p); }
};
/// Answers one output by what the student gave at it.
struct judge_of_samples {
  judge inner;
  template <class Given>
  auto answer(toy::drawn& b, const Given& given)
    requires requires { given.template of<"samples">(); }
  {
    return inner.answer(b, given.template of<"samples">());
  }
};

struct judge_of_all {
  judge& samples;
  toy::linear& logits;
  template <class Given>
  auto answer(toy::drawn& b, const Given& given)
    requires requires { given.template of<"samples">(); }
  {
    return lk::outputs{lk::output<"logits">(logits.forward(b.inputs)), lk::output<"samples">(samples.answer(b, given.template of<"samples">()))};
  }
};

TEST_CASE("of several teachers one may answer; who does not is asked before the student", "[trainer][answer]") {
  toy::clouds data(12);
  std::string log;
  toy::linear better(9), other(5);
  const auto both = lk::at<"logits">(lk::forward_kl{}) + lk::at<"samples">(lk::specified_gradient{});
  const auto plain = lk::at<"logits">(lk::forward_kl{}) + lk::at<"samples">(0.25 * lk::feature_mse{});
  const auto train = [&](auto&& teacher, const auto& loss) {
    forked student{{3, &log}};
    lk::trainer{student, teacher, loss, step_forked{}}.fit(data, {.epochs = 2, .batch = 6, .seed = 3});
    return student.body.weights();
  };
  const auto said = [&](const std::vector<double>& x) {
    log += "t";
    return other.forward(x);
  };
  const auto answered = train(lk::outputs{lk::output<"logits">(said), lk::output<"samples">(judge_of_samples{{better, &log}})}, both);
  CHECK(log == "tfabbtfabbtfabbtfabb");
  const auto asked = train(lk::outputs{lk::output<"logits">(other), lk::output<"samples">(better)}, plain);
  CHECK(distance(answered, asked) < 1e-12);
  judge kept{better};
  const auto one = train(judge_of_all{kept, other}, both);  // or one teacher of all outputs
  CHECK(distance(one, asked) < 1e-12);
}

}  // namespace
