// A TorchScript teacher, a LibTorch student, and Limbeck's loss and trainer between them: one kernel for value and gradient,
// in the place of a dozen operations and their backward passes. README.md has the results.

#include "../common/command_line.hpp"
#include "../common/data.hpp"
#include "../common/metrics.hpp"
#include "../common/parallel.hpp"
#include "../common/plot.hpp"
#include "../common/table.hpp"
#include "by_hand.hpp"
#include "rows.hpp"
#include "teacher.hpp"

#include <limbeck/torch_trainer.hpp>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

namespace distil {

using namespace examples;
namespace F = torch::nn::functional;

struct options {
  int seeds = 5, epochs = 30, teacher_epochs = 30, labels = 1600, threads = 1;
  std::string out = "libtorch-results", data = LIMBECK_EXAMPLE_FOLDER "/../data", teacher;
};
constexpr std::int64_t none = -1;  // the label of a row that has none

/// Labels where there are some, the teacher everywhere.
const auto objective = 0.1 * lk::cross_entropy{} + 0.9 * lk::at_temperature(4.0, lk::forward_kl{});

/// The same in torch's own operations: T² times kl_div of log_softmax and softmax, `batchmean`.
torch::Tensor canonical(const torch::Tensor& student, const torch::Tensor& teacher, const torch::Tensor& labels) {
  const auto rows = static_cast<double>(student.size(0));
  const auto hard =
      F::cross_entropy(student, labels, F::CrossEntropyFuncOptions().ignore_index(none).reduction(torch::kSum));
  const auto soft =
      torch::kl_div(torch::log_softmax(student / 4, 1), torch::softmax(teacher / 4, 1), at::Reduction::Sum);
  return (0.1 * hard + 0.9 * 16 * soft) / rows;
}

labelled tensors_of(const dataset& d) {
  labelled out{torch::empty({static_cast<std::int64_t>(d.size()), d.features.cols()}),
               torch::empty({static_cast<std::int64_t>(d.size())}, torch::kLong)};
  std::copy_n(d.features.data(), d.features.size(), out.inputs.data_ptr<float>());
  std::copy(d.labels.begin(), d.labels.end(), out.labels.data_ptr<std::int64_t>());
  return out;
}

torch::nn::Sequential new_student(int seed) {
  torch::manual_seed(seed);
  return torch::nn::Sequential(torch::nn::Linear(16, 32), torch::nn::ReLU(), torch::nn::Linear(32, 26));
}

double milliseconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
}

/// A callback of the trainer's.
template <class F>
struct each_epoch {
  const F& act;
  void after_epoch(lk::training_run&) { act(); }
};

/// One training: accuracy after each epoch, and the time of its steps.
struct outcome {
  std::vector<double> accuracy;
  double step = 0;  // milliseconds, mean
};

enum class way { labels_alone, autograd, limbeck };
constexpr const char* name_of[] = {"labels alone", "distilled, torch's operations", "distilled, Limbeck"};

outcome run(const options& o, way which, int seed, const labelled& data, const torch::Tensor& few,
            const torch::Tensor& logits, const lk::torch_data<true>& test, progress_line& line) {
  auto network = new_student(seed);
  lk::torch_module student(network);
  std::vector<std::size_t> rows;
  for (std::int64_t r = 0; r < few.size(0); ++r)
    if (which != way::labels_alone || few[r].item<std::int64_t>() != none) rows.push_back(static_cast<std::size_t>(r));
  shuffled order(std::move(rows), static_cast<std::uint64_t>(seed));
  // as many steps whatever the number of rows
  const std::size_t epochs = static_cast<std::size_t>(o.epochs), steps = static_cast<std::size_t>(few.size(0)) / batch;

  outcome out;
  double looking = 0;  // time spent on test rows
  const auto look = [&] {
    const auto here = std::chrono::steady_clock::now();
    out.accuracy.push_back(100 * lk::evaluate(student, test, 4000).accuracy());
    line.advance();
    looking += milliseconds_since(here);
  };
  const auto start = std::chrono::steady_clock::now();
  if (which == way::autograd) {
    train_by_hand(network, order, epochs, steps, look, [&](const torch::Tensor& picked) {
      const auto s = network->forward(data.inputs.index_select(0, picked));
      canonical(s, logits.index_select(0, picked), few.index_select(0, picked)).backward();
    });
  } else {
    auto rows_of_step = lk::drawn_by(order, lk::torch_data(data.inputs, few), steps);
    const lk::fit_settings settings{.epochs = epochs, .batch = batch};
    lk::torch_optimizer adam(torch::optim::Adam(network->parameters(), rate), lk::cosine(1, 0));
    if (which == way::labels_alone) {
      lk::trainer{student, lk::no_teacher{}, lk::cross_entropy{}, adam}.fit(rows_of_step, settings, each_epoch{look});
    } else {
      const auto distilled = [&](auto&&... a) { return objective(a..., lk::unlabelled(none)); };
      lk::trainer{student, lk::cached_teacher(lk::as_rows<const float>(logits)), distilled, adam}.fit(rows_of_step, settings,
                                                                                                      each_epoch{look});
    }
  }
  out.step = (milliseconds_since(start) - looking) / static_cast<double>(epochs * steps);
  return out;
}

/// Best of ten: milliseconds of a call, each the mean of @p calls.
double best(int calls, const std::function<void()>& call) {
  double least = 1e300;
  for (int round = 0; round < 10; ++round) {
    const auto start = std::chrono::steady_clock::now();
    for (int i = 0; i < calls; ++i) call();
    least = std::min(least, milliseconds_since(start) / calls);
  }
  return least;
}

/// The loss alone, from logits to their gradient, both ways: largest difference and times.
void compare(std::int64_t rows, std::int64_t classes) {
  torch::manual_seed(5);
  auto s = (3 * torch::randn({rows, classes})).requires_grad_(true);
  const auto t = 3 * torch::randn({rows, classes});
  const auto y = torch::where(torch::rand({rows}) < 0.1, torch::randint(classes, {rows}, torch::kLong),
                              torch::full({rows}, none, torch::kLong));
  torch::Tensor gradient = torch::empty_like(s, at::MemoryFormat::Contiguous).detach();
  lk::workspace ws;
  const auto ours = [&] { objective(s, t, y, lk::unlabelled(none), lk::into(gradient), ws); };
  const auto node = [&] {
    s.mutable_grad() = torch::Tensor();
    lk::differentiable(objective, s, t, y, lk::unlabelled(none), ws).backward();
  };
  const auto theirs = [&] {
    s.mutable_grad() = torch::Tensor();
    canonical(s, t, y).backward();
  };
  theirs();
  const auto expected = s.grad().clone();
  ours();
  const double off = (gradient - expected).abs().max().item<double>() / expected.abs().max().item<double>();
  const int calls = static_cast<int>(std::clamp<std::int64_t>(10'000'000 / (rows * classes), 1, 50));
  const double a = best(calls, ours), b = best(calls, node), c = best(calls, theirs);
  std::printf("%5ld x %-6ld  %.1e        %8.3f ms   %8.3f ms       %8.3f ms   %.1f\n", static_cast<long>(rows),
              static_cast<long>(classes), off, a, b, c, c / a);
}

int main(int argc, char** argv) {
  options o;
  command_line line(
      "Distils a TorchScript teacher into a LibTorch student, with torch's operations and with Limbeck's loss.\n"
      "  --seeds N           runs of each way (5)\n"
      "  --epochs N          passes of the student over the rows (30)\n"
      "  --teacher FILE      a TorchScript module, float [n, 16] -> [n, 26]; without it one is trained and saved\n"
      "  --threads N         torch's threads (1)\n"
      "  --out FOLDER        where the plot goes (libtorch-results)\n"
      "  --data FOLDER       where letter.csv.gz is\n"
      "  --quick             a few seconds, to see that it works\n");
  line.whole("--seeds", o.seeds, 1, 1000).whole("--epochs", o.epochs, 1, 10000).whole("--threads", o.threads, 1, 1024);
  line.text("--teacher", o.teacher).text("--out", o.out).text("--data", o.data);
  line.flag("--quick", [&] { o.seeds = 1, o.epochs = 3, o.teacher_epochs = 3; });
  line.parse(argc, argv);
  std::filesystem::create_directories(o.out);
  at::set_num_threads(o.threads);

  const split letter = read_letter(o.data);
  const labelled train_rows = tensors_of(letter.train), test_rows = tensors_of(letter.test);
  if (o.teacher.empty()) {
    o.teacher = o.out + "/teacher.pt";
    train_teacher(train_rows, o.teacher_epochs, o.teacher);
  }
  torch::jit::Module script = torch::jit::load(o.teacher);
  lk::torch_teacher teacher(script);
  const torch::Tensor logits = teacher.forward(train_rows.inputs);
  const lk::torch_data test(test_rows.inputs, test_rows.labels);
  std::printf("teacher %s: %.2f %% of the test rows\n", o.teacher.c_str(), 100 * lk::evaluate(teacher, test).accuracy());

  std::vector<std::vector<outcome>> all(3);
  {
    progress_line progress("students", 3L * o.seeds * o.epochs);
    for (int seed = 1; seed <= o.seeds; ++seed) {
      torch::manual_seed(seed);
      const auto with_label = torch::randperm(train_rows.labels.size(0)).narrow(0, 0, o.labels);
      auto few = torch::full_like(train_rows.labels, none);
      few.index_put_({with_label}, train_rows.labels.index_select(0, with_label));
      for (const way which : {way::labels_alone, way::autograd, way::limbeck})
        all[static_cast<std::size_t>(which)].push_back(run(o, which, seed, train_rows, few, logits, test, progress));
    }
  }

  table t("student 16-32-26, 1,600 labels", {{"accuracy, %"}, {"less torch's", 2}, {"a step, ms", 3}});
  std::vector<curve> curves;
  for (std::size_t w = 0; w < all.size(); ++w) {
    std::vector<double> last, difference, step;
    for (std::size_t s = 0; s < all[w].size(); ++s) {
      last.push_back(all[w][s].accuracy.back());
      if (w == 2) difference.push_back(last.back() - all[1][s].accuracy.back());
      step.push_back(all[w][s].step);
    }
    t.add(name_of[w], {last, difference, step});
    curve c{name_of[w], {}, {}};
    for (std::size_t e = 0; e < all[w][0].accuracy.size(); ++e) {
      std::vector<double> at;
      for (const outcome& one : all[w]) at.push_back(one.accuracy[e]);
      c.x.push_back(static_cast<double>(e + 1));
      c.y.push_back(over_seeds(at));
    }
    curves.push_back(std::move(c));
  }
  t.print();
  draw(o.out,
       {"accuracy", "LibTorch student, TorchScript teacher", "epoch", "test accuracy, %", "set key bottom right"},
       curves);

  std::printf("\nthe loss alone, from logits to their gradient, %d thread(s)\n", o.threads);
  std::printf(
      "rows x classes  gradients differ   Limbeck      its node in a graph  torch's        torch's / Limbeck\n");
  compare(128, 26);
  compare(256, 1000);
  if (o.epochs > 3) compare(512, 32000);
  return 0;
}

}  // namespace distil

int main(int argc, char** argv) {
  try {
    return distil::main(argc, argv);
  } catch (const std::exception& e) {
    std::fprintf(stderr, "libtorch: %s\n", e.what());
    return 1;
  }
}
