// The trainer trains every loss: alone and beside cross-entropy, with rows that do not count, in micro-batches, stopped
// and resumed.

#include "catch.hpp"
#include "every_loss.hpp"
#include "stops.hpp"

#include <limbeck/trainer.hpp>

#include <cstdio>
#include <filesystem>
#include <stdexcept>

namespace lk = limbeck;
using namespace every;
using Catch::Matchers::Contains;

namespace {

using view = lk::rows<const double>;
constexpr std::size_t features = 5;

struct drawn {
  std::vector<double> inputs, row_weights;
  std::vector<int> labels;
  std::vector<unsigned char> row_mask;
};
/// Rows of which some have no label, no weight or are masked; `last` is what was drawn last, for losses that hold data
/// of each row.
struct table {
  std::vector<double> x;
  std::vector<std::size_t> last;
  explicit table(std::size_t n) : x(n * features) {
    lk::random_stream random(3);
    for (double& v : x) v = random.normal();
  }
  std::size_t size() const { return x.size() / features; }
  drawn batch(std::span<const std::size_t> rows) {
    drawn b;
    last.assign(rows.begin(), rows.end());
    for (const std::size_t r : rows) {
      b.inputs.insert(b.inputs.end(), x.begin() + static_cast<std::ptrdiff_t>(r * features),
                      x.begin() + static_cast<std::ptrdiff_t>((r + 1) * features));
      b.labels.push_back(r % 7 == 1 ? -100 : static_cast<int>(r % width));
      b.row_weights.push_back(r % 7 == 2 ? 0 : 1);
      b.row_mask.push_back(r % 7 != 3);
    }
    return b;
  }
};

/// z = x W; the teacher is one with other weights.
struct linear {
  std::vector<double> w, g, z, in;
  explicit linear(std::uint64_t seed) : w(features * width), g(w.size()) {
    lk::random_stream random(seed);
    for (double& v : w) v = 0.5 * random.normal();
  }
  view forward(const std::vector<double>& x) {
    in = x;
    const std::size_t n = x.size() / features;
    z.assign(n * width, 0);
    for (std::size_t i = 0; i < n; ++i)
      for (std::size_t f = 0; f < features; ++f)
        for (std::size_t c = 0; c < width; ++c) z[i * width + c] += x[i * features + f] * w[f * width + c];
    return {z.data(), n, width};
  }
  void backward(const view& d) {
    for (std::size_t i = 0; i < d.samples; ++i)
      for (std::size_t f = 0; f < features; ++f)
        for (std::size_t c = 0; c < width; ++c) g[f * width + c] += in[i * features + f] * d(i, c);
  }
  void zero_gradients() { g.assign(g.size(), 0); }
  std::vector<std::span<double>> parameters() { return {std::span(w)}; }
};
struct descent {
  void step(linear& m, lk::progress) const {
    for (std::size_t i = 0; i < m.w.size(); ++i) m.w[i] -= 0.01 * m.g[i];
  }
};

/// A callable without templates, so that one trainer serves all losses.
struct erased {
  const std::function<double(call&)>* run;
  const table* data;
  const std::string* name;
  using weights_argument = decltype(lk::row_weights(std::vector<double>()));
  using mask_argument = decltype(lk::row_mask(std::vector<unsigned char>()));
  using gradient_argument = decltype(lk::into(lk::rows<double>()));
  double operator()(const view& s, const view& t, const std::vector<int>& labels, const weights_argument& weights,
                    const mask_argument& mask, const lk::detail::reduction_argument& reduce, lk::progress,
                    const gradient_argument& gradient, lk::workspace&) const {
    call x(s.samples);
    for (std::size_t r = 0; r < s.samples; ++r) {
      for (std::size_t c = 0; c < width; ++c) {
        x.student[r * width + c] = s(r, c);
        x.kept[r * width + c] = x.teacher[r * width + c] = t(r, c);
      }
      x.weights[r] = weights.values.number(r);
      x.mask[r] = mask.values.number(r) != 0;
      x.ids[r] = r % 16;  // of the bank
    }
    x.labels = labels;
    x.reduce = reduce;
    const double loss = (*run)(x);
    for (std::size_t i = 0; i < x.gradient.size(); ++i) gradient.view.data[i] = x.gradient[i];
    return loss;
  }
  std::string describe() const { return *name; }
};

std::vector<double> trained(const erased& o, const lk::fit_settings& how, std::uint64_t stop = 0) {
  table data(30);
  linear student(1), teacher(2);
  lk::trainer t{student, teacher, o, descent{}};
  if (stop > 0) {
    CHECK_THROWS_WITH(t.fit(data, how, toy::stops_at{stop}), "the machine is gone");
  } else {
    t.fit(data, how);
  }
  return student.w;
}

}  // namespace

TEST_CASE("every loss fits for a step, alone and beside cross-entropy, and goes on where it was stopped",
          "[trainer][every]") {
  const auto file = std::filesystem::temp_directory_path() / "limbeck_every_loss.ckpt";
  const table data(30);
  for (const loss& l : every_loss()) {
    for (const bool alone : {false, true}) {
      const std::string name = l.name + (alone ? ", alone" : ", beside cross-entropy");
      CAPTURE(name);
      const erased o{alone ? &l.alone : &l.run, &data, &name};

      // one step is the gradient of the call, by hand
      const std::vector<double> one = trained(o, {.steps = 1, .batch = 30});
      table again(30);
      std::vector<std::size_t> all(30);
      for (std::size_t i = 0; i < 30; ++i) all[i] = i;
      lk::random_stream(0).split(0).shuffle(all);
      const drawn b = again.batch(all);
      linear student(1), teacher(2);
      call x(30);
      const view s = student.forward(b.inputs), t = teacher.forward(b.inputs);
      x.student.assign(s.data, s.data + 30 * width);
      x.teacher.assign(t.data, t.data + 30 * width);
      for (std::size_t i = 0; i < 30; ++i) x.ids[i] = i % 16;
      x.kept = x.teacher, x.labels = b.labels, x.weights = b.row_weights, x.mask = b.row_mask;
      (alone ? l.alone : l.run)(x);
      student.backward({x.gradient.data(), 30, width});
      descent{}.step(student, lk::progress(0.0));
      bool moved = false;
      for (std::size_t i = 0; i < one.size(); ++i) {
        CHECK(one[i] == Approx(student.w[i]).epsilon(1e-12));
        moved = moved || one[i] != linear(1).w[i];
      }
      CHECK(moved);

      // in parts: the same, or a sentence that names the loss
      const bool whole = l.batchwise;
      if (whole) {
        CHECK_THROWS_WITH(trained(o, {.steps = 1, .batch = 30, .micro_batch = 7}),
                          Contains("cannot be summed over parts of it, such as micro-batches") &&
                              Contains("limbeck: mean_over is ") && Contains(l.name));
      } else {
        const std::vector<double> parts = trained(o, {.steps = 1, .batch = 30, .micro_batch = 7});
        for (std::size_t i = 0; i < one.size(); ++i) CHECK(parts[i] == Approx(one[i]).epsilon(1e-10));
      }

      // stopped in the middle of an epoch, and resumed
      lk::fit_settings how{.steps = 5, .batch = 12};
      const std::vector<double> straight = trained(o, how);
      std::filesystem::remove(file);
      how.checkpoint = file;
      how.checkpoint_every = 1;
      (void)trained(o, how, 4);
      CHECK(trained(o, how) == straight);
    }
  }
  std::filesystem::remove(file);
  std::printf("%zu losses, each alone and beside cross-entropy\n", every_loss().size());
}
