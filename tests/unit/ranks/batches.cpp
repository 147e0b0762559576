// A batch that lies on several ranks: each loss between samples is the one machine's, bit for bit.
#include "batch.hpp"
#include "ranks.hpp"

#include <limbeck/features.hpp>
#include <limbeck/relations.hpp>
#include <limbeck/target/ensemble.hpp>

#include <functional>

namespace {

namespace lk = limbeck;
using ranks::on_any_ranks;

/// Any batchwise loss, so that the call is compiled once.
struct any_loss {
  using limbeck_loss = lk::batchwise;
  static constexpr bool any_width = true, into_teacher = true;
  std::function<double(const lk::batch<double>&)> run;
  double operator()(const lk::batch<double>& x) const { return run(x); }
};
/// f(name, loss, columns of the student, of the teacher) for all there are; `crd`, which remembers, has steps of its own below.
template <class F>
void each_loss(const F& f) {
  const auto one = [&]<class L>(const char* name, const L& loss, std::size_t s = 12, std::size_t t = 12) {
    f(name, any_loss{[loss](const lk::batch<double>& x) { return static_cast<double>(loss(x)); }}, s, t);
  };
  one("rkd_distance", lk::rkd_distance{}, 12, 7);
  one("rkd_angle", lk::rkd_angle{}, 12, 7);
  one("similarity_preserving", lk::similarity_preserving{}, 12, 7);
  one("activation_matching", lk::activation_matching{}, 12, 7);
  one("correlation_congruence", lk::correlation_congruence{}, 12, 7);
  one("marginal_distance_matrix", lk::marginal_distance_matrix{.margin = 0.1}, 12, 7);
  one("pkt", lk::pkt{}, 12, 7);
  one("linear_cka", lk::linear_cka{}, 12, 7);
  one("self_correlation", lk::self_correlation{}, 12, 7);
  one("neighbour_kl", lk::neighbour_kl{.k = 2, .temperature = 0.5}, 12, 7);
  one("dist", lk::dist{.temperature = 2});
  one("nst", lk::nst{.positions = 3}, 12, 9);
  one("info_nce", lk::info_nce{});
  one("info_nce of classes", lk::info_nce{}.over(lk::same_class{}));
  one("symmetric_info_nce", lk::symmetric_info_nce{.temperature = 0.2});
  one("nt_xent", lk::nt_xent{});
  one("supervised_contrast", lk::supervised_contrast{});
  one("margin_cosine", lk::margin_cosine{.margin = 0.2});
  one("cosine_embedding", lk::cosine_embedding{.margin = 0.1});
  one("cross_correlation", lk::cross_correlation{});
  one("sskd", lk::sskd{});
  one("hint", lk::hint{});
  one("feature_mse", lk::feature_mse{});
  one("flops", lk::flops{});
  one("hard_quantile", lk::hard_quantile{.p_hard = 0.9});
  one("out_of_domain_penalty", lk::out_of_domain_penalty{});
  one("attention_transfer", lk::attention_transfer{.student_channels = 3, .teacher_channels = 2}, 12, 8);
  one("factor_transfer", lk::factor_transfer{});
  one("activation_boundaries", lk::activation_boundaries{});
  one("pad_l2", lk::pad_l2{}, 24, 12);
  one("log_sum", lk::log_sum{});
  one("channel_affinity", lk::channel_affinity{.channels = 3});
  one("position_similarity", lk::position_similarity{.student_channels = 3, .teacher_channels = 2}, 12, 8);
  one("ickd", lk::ickd{.channels = 3}, 12, 9);
  one("fsp", lk::fsp{.first_channels = 1, .second_channels = 2}, 12, 9);
  one("kdsvd", lk::kdsvd{.first_channels = 2, .second_channels = 2, .student_positions = 3, .teacher_positions = 3});
  one("nearest_layers", lk::nearest_layers{.layers = 4, .k = 2}, 9, 36);
  one("sinkhorn", lk::sinkhorn{});
  lk::channel_variances<double> variances(12, 2);
  one("vid", lk::vid(variances));
  lk::match_line<double> line;
  one("pair_logistic", lk::pair_logistic(line));
  const lk::channel_margins margins(std::vector<double>{1, 2, 0.5}, std::vector<double>{0, 1, -1});
  one("overhaul", lk::overhaul(margins));
  one("span_consistency", [](const lk::batch<double>& x) {
    std::vector<int> spans(x.samples());
    for (std::size_t r = 0; r < spans.size(); ++r) spans[r] = static_cast<int>(r / 3);
    return lk::span_consistency(spans)(x);
  });
}

/// A target that one row of cannot be made, as of a cache whose block is damaged.
struct damaged_target {
  using limbeck_target = void;
  using scalar = double;
  static constexpr bool needs_student = false;
  static constexpr std::size_t scratch_rows = 0;
  std::size_t count, columns, bad;
  std::size_t samples() const { return count; }
  std::size_t classes() const { return columns; }
  void fill(const lk::target_row<double>& r) const {
    if (r.index == bad) throw std::runtime_error("limbeck: row " + std::to_string(bad) + " is damaged");
    std::fill(r.out.begin(), r.out.end(), 1.0);
  }
};

/// How many rows rank k of @p n has: some have none.
std::vector<std::size_t> counts_of(int n, std::uint64_t seed) {
  lk::random_stream random(seed);
  std::vector<std::size_t> counts;
  for (int k = 0; k < n; ++k) counts.push_back(k == static_cast<int>(seed) % (n + 1) ? 0 : 4 * random.below(4));
  counts.back() += 4;
  return counts;
}

/// The batch of the one machine, and where a rank's rows stand in it.
struct parts {
  std::size_t n, width, teacher_width, first = 0, count = 0;
  std::vector<double> student, teacher;
  std::vector<int> labels;
  template <class C>
  parts(const C& comm, std::uint64_t seed, std::size_t s, std::size_t t) : n(0), width(s), teacher_width(t) {
    const auto counts = counts_of(comm.size(), seed);
    for (int k = 0; k < comm.size(); ++k) {
      if (k == comm.rank()) first = n, count = counts[static_cast<std::size_t>(k)];
      n += counts[static_cast<std::size_t>(k)];
    }
    const auto x = limbeck_test::random_batch<double>(n, s, static_cast<std::uint32_t>(seed), 1);
    student = x.student, labels = x.labels;
    for (int& y : labels) y %= 3;
    teacher = limbeck_test::random_batch<double>(n, t, static_cast<std::uint32_t>(seed) + 7, 1).student;
  }
  lk::rows<const double> s() const { return {student.data(), n, width}; }
  lk::rows<const double> t() const { return {teacher.data(), n, teacher_width}; }
  /// This rank's rows of something of which the one machine has all.
  template <class T>
  lk::rows<T> own(T* all, std::size_t columns) const {
    return {count ? all + first * columns : nullptr, count, columns};
  }
  lk::rows<const double> own_s() const { return own(student.data(), width); }
  lk::rows<const double> own_t() const { return own(teacher.data(), teacher_width); }
  template <class T>
  std::span<T> own(std::vector<T>& all) const {
    return std::span<T>(all).subspan(first, count);
  }
  template <class T>
  std::span<const T> own(const std::vector<T>& all) const {
    return std::span<const T>(all).subspan(first, count);
  }
};

/// Whether this rank's rows are those of the one machine, and no others were written.
bool same_rows(const parts& p, const std::vector<double>& one, const std::vector<double>& mine, std::size_t columns, double before = 0) {
  for (std::size_t r = 0; r < p.n; ++r)
    for (std::size_t c = 0; c < columns; ++c)
      if (mine[r * columns + c] != (r >= p.first && r < p.first + p.count ? one[r * columns + c] : before)) return false;
  return true;
}

}  // namespace

TEST_CASE("Each loss between samples is that of the whole batch, and its gradients are those of one machine") {
  on_any_ranks([](const auto& comm) {
    each_loss([&](const std::string& name, const any_loss& loss, std::size_t s, std::size_t t) {
      for (const std::uint64_t seed : {1u, 2u, 3u}) {
        const parts p(comm, seed, s, t);
        const lk::objective objective{loss};
        std::vector<double> g(p.n * s), h(p.n * t), mine(p.n * s), other(p.n * t);
        const lk::evaluation one = objective(p.s(), p.t(), p.labels, lk::unread_is_fine, lk::into(lk::rows<double>(g.data(), p.n, s)),
                                             lk::into_teacher(lk::rows<double>(h.data(), p.n, t)));
        const lk::evaluation whole = objective(p.own_s(), p.own_t(), p.own(p.labels), lk::unread_is_fine, lk::batch_over(comm),
                                               lk::into(p.own(mine.data(), s)), lk::into_teacher(p.own(other.data(), t)));
        const bool same = one.loss == whole.loss && one.rows == whole.rows && one.weight == whole.weight;
        if (!same || !same_rows(p, g, mine, s) || !same_rows(p, h, other, t)) throw std::logic_error(name);
      }
    });
  });
}

TEST_CASE("Losses of rows beside them are the whole batch's: weights, masks, labels, statistics, learned temperatures, strides") {
  const double temperature = 1.7;
  const auto uncertain = lk::of_student(lk::entropy{}) >= lk::median_of(lk::of_student(lk::entropy{}));
  const auto objective = lk::cross_entropy{} + lk::at_temperature(lk::learned(temperature), lk::forward_kl{}) +
                         lk::linear(0.0, 2.0) * (uncertain * lk::reverse_kl{}) + 0.3 * lk::rkd_distance{} + 0.2 * lk::hint{} +
                         lk::grouped(4, lk::pkt{});
  on_any_ranks([&](const auto& comm) {
    for (const std::uint64_t seed : {1u, 2u, 4u}) {
      parts p(comm, seed, 12, 12);
      std::vector<float> weights(p.n, 2.0f);
      std::vector<unsigned char> mask(p.n, 1);
      for (std::size_t r = 0; r < p.n; ++r) {
        if (r % 5 == 1) weights[r] = 0;
        if (r % 7 == 2) mask[r] = 0, p.student[r * 12] = NAN;
        if (r % 6 == 3) p.labels[r] = -100;
        if (r % 4 == 3) p.labels[r] = -1;
      }
      // the student's samples lie in columns, each rank's in memory of its own
      std::vector<double> turned(p.count * 12), all(p.n * 12), mine(p.n * 12, 0.5), losses(p.n), own_losses(p.n);
      std::fill(all.begin(), all.end(), 0.5);
      for (std::size_t r = 0; r < p.count; ++r)
        for (std::size_t c = 0; c < 12; ++c) turned[c * p.count + r] = p.student[(p.first + r) * 12 + c];
      const auto own_s = lk::rows<const double>(turned.data(), 12, p.count).transposed();
      lk::workspace ws;
      const lk::evaluation one =
          objective(p.s(), p.t(), p.labels, lk::row_weights(weights), lk::row_mask(mask), lk::unlabelled(-1), lk::progress(0.3),
                    lk::row_losses(losses), lk::add_to(lk::rows<double>(all.data(), p.n, 12)));
      for (int again = 0; again < 2; ++again) {
        std::fill(mine.begin(), mine.end(), 0.5);
        auto of_rows = p.own(own_losses);
        const lk::evaluation whole =
            objective(own_s, p.own_t(), p.own(p.labels), lk::row_weights(p.own(weights)), lk::row_mask(p.own(mask)), lk::unlabelled(-1),
                      lk::progress(0.3), lk::row_losses(of_rows), lk::add_to(p.own(mine.data(), 12)), ws, lk::batch_over(comm));
        EXPECT_ON_RANK(one.loss == whole.loss && one.rows == whole.rows && one.weight == whole.weight);
        EXPECT_ON_RANK(one.temperature_gradient == whole.temperature_gradient);
        EXPECT_ON_RANK(same_rows(p, all, mine, 12, 0.5) && same_rows(p, losses, own_losses, 1));
      }
      // reports, values, and signals as numbers
      const auto report = objective.report(p.s(), p.t(), p.labels, lk::row_mask(mask), lk::unlabelled(-1), lk::progress(0.3));
      const auto whole = objective.report(own_s, p.own_t(), p.own(p.labels), lk::row_mask(p.own(mask)), lk::unlabelled(-1),
                                          lk::progress(0.3), lk::into(p.own(mine.data(), 12)), lk::batch_over(comm));
      EXPECT_ON_RANK(same_rows(p, all, mine, 12, 0.5));  // a report writes to nobody
      for (std::size_t i = 0; i < report.terms().size(); ++i) {
        EXPECT_ON_RANK(report.terms()[i].value == whole.terms()[i].value);
        EXPECT_ON_RANK(report.terms()[i].gradient_norm == whole.terms()[i].gradient_norm);
      }
      auto numbers = p.own(own_losses);
      std::fill(own_losses.begin(), own_losses.end(), 0);
      lk::measure(uncertain, p.s(), lk::row_mask(mask), losses);
      lk::measure(uncertain, own_s, lk::row_mask(p.own(mask)), lk::batch_over(comm), numbers);
      EXPECT_ON_RANK(same_rows(p, losses, own_losses, 1));
    }
  });
}

TEST_CASE("What a loss remembers and learns stays equal on all ranks: named outputs, in steps, with gradients that the call makes") {
  const auto run = [](const auto& step) {
    lk::crd_bank<double> bank(40, 5, {.negatives = 6, .temperature = 0.3, .seed = 4});
    lk::projection<double> s(6, 5, lk::he{.seed = 1}), t(9, 5, lk::he{.seed = 2}), wider(6, 9, lk::he{.seed = 3});
    std::vector<std::size_t> indices;
    const auto objective = lk::cross_entropy{} + lk::at<"h">(0.5 * lk::crd(bank, indices, s, t) + lk::projected(wider, lk::linear_cka{}));
    std::vector<double> state;
    for (std::uint64_t k = 1; k < 4; ++k) step(objective, indices, k, state);
    for (const auto& x : {bank.student(), bank.teacher()}) state.insert(state.end(), x.data, x.data + x.samples * x.classes);
    for (auto* p : {&s, &t, &wider})
      for (const auto& x : p->gradients()) state.insert(state.end(), x.begin(), x.end());
    return state;
  };
  on_any_ranks([&](const auto& comm) {
    const auto named = [](const auto& z, const auto& h) { return lk::outputs{lk::output<"logits">(z), lk::output<"h">(h)}; };
    const auto each = [&](bool whole) {
      return [&, whole](const auto& objective, std::vector<std::size_t>& indices, std::uint64_t k, std::vector<double>& state) {
        const parts z(comm, k, 4, 4), h(comm, k, 6, 9);
        indices.resize(z.n);
        for (std::size_t r = 0; r < z.n; ++r) indices[r] = (7 * r + k) % 40;
        const auto note = [&](const auto& result, const std::vector<double>& of_logits, const std::vector<double>& of_h) {
          state.push_back(result.loss);
          EXPECT_ON_RANK(result.rows == z.n);
          // of the one machine's gradient the rows of this rank
          const std::size_t first = whole ? 0 : z.first;
          for (std::size_t i = 0; i < z.count * 4; ++i) state.push_back(of_logits[first * 4 + i]);
          for (std::size_t i = 0; i < z.count * 6; ++i) state.push_back(of_h[first * 6 + i]);
        };
        if (whole) {
          indices = lk::all_gather_ragged(comm, z.own(std::as_const(indices))).values;
          const auto result = objective(named(z.own_s(), h.own_s()), named(z.own_t(), h.own_t()), z.own(z.labels), lk::batch_over(comm),
                                        lk::unread_is_fine);
          note(result, result.gradient.template of<"logits">(), result.gradient.template of<"h">());
        } else {
          const auto result = objective(named(z.s(), h.s()), named(z.t(), h.t()), z.labels, lk::unread_is_fine);
          note(result, result.gradient.template of<"logits">(), result.gradient.template of<"h">());
        }
      };
    };
    EXPECT_ON_RANK(run(each(false)) == run(each(true)));
  });
}

TEST_CASE("Targets are made where their rows are; micro-batches, temperatures of rows, masks of classes, in float and shorter") {
  on_any_ranks([](const auto& comm) {
    const parts x(comm, 5, 6, 6), y(comm, 8, 6, 6);
    const double total = static_cast<double>(x.n + y.n);
    const std::vector<unsigned char> classes{1, 1, 0, 1, 1, 0};
    const auto objective = lk::at_temperature(lk::per_row{}, lk::forward_kl{}) + lk::on<lk::masked>(lk::reverse_kl{});
    double one = 0, whole = 0;
    for (const parts* p : {&x, &y}) {
      const std::vector<float> s(p->student.begin(), p->student.end()), t(p->teacher.begin(), p->teacher.end());
      std::vector<lk::bfloat16> g(p->n * 6), mine(p->n * 6);
      std::vector<float> temperatures(p->n), slopes(p->n), own_slopes(p->n);
      for (std::size_t r = 0; r < p->n; ++r) temperatures[r] = 1 + static_cast<float>(r % 3);
      const auto all_of = [&](const auto& v) { return lk::rows(v.data(), p->n, 6); };
      const auto all_s = all_of(s), all_t = all_of(t);
      const auto own_s = p->own(s.data(), 6), own_t = p->own(t.data(), 6);
      auto of_rows = p->own(own_slopes);
      const auto target = lk::mean_of_probabilities(all_t, all_s), own_target = lk::mean_of_probabilities(own_t, own_s);
      one += objective(all_s, target, lk::mean_over(total), lk::row_temperatures(temperatures), lk::class_mask(classes),
                       lk::row_temperature_gradient(slopes), lk::into(lk::rows<lk::bfloat16>(g.data(), p->n, 6)));
      whole += objective(own_s, own_target, lk::mean_over(total), lk::row_temperatures(p->own(temperatures)), lk::class_mask(classes),
                         lk::row_temperature_gradient(of_rows), lk::into(p->own(mine.data(), 6)), lk::batch_over(comm));
      for (std::size_t r = p->first; r < p->first + p->count; ++r) {
        EXPECT_ON_RANK(slopes[r] == own_slopes[r]);
        for (std::size_t c = 0; c < 6; ++c) EXPECT_ON_RANK(g[r * 6 + c].bits == mine[r * 6 + c].bits);
      }
    }
    EXPECT_ON_RANK(one == whole);
  });
}

TEST_CASE("What is wrong on one rank is thrown on all, with its rank and its own row") {
  on_any_ranks([](const auto& comm) {
    const int guilty = comm.size() - 1;
    const std::string whose = comm.size() == 1 ? "" : "rank " + std::to_string(guilty) + " of " + std::to_string(comm.size()) + ": ";
    const parts fine(comm, 1, 12, 12);
    const auto objective = lk::cross_entropy{} + lk::rkd_distance{} + lk::by_channel(3, lk::feature_mse{});
    const auto after = [&]<class Fault>(std::type_identity<Fault>, const auto& spoil, std::size_t columns = 12) {
      parts p(comm, 1, 12, 12);
      std::vector<float> weights(p.n, 1.0f);
      std::size_t labels = p.count;
      double at = 0.5, total = static_cast<double>(p.n);
      if (comm.rank() == guilty) spoil(p, weights, labels, at, total);
      const auto call = [&](const auto& s, const std::vector<int>& y, const std::vector<float>& w) {
        return objective.value(s, p.own_t(), std::span<const int>(y).first(labels), lk::row_weights(w), lk::mean_over(total),
                               lk::progress(at), lk::unread_is_fine, lk::batch_over(comm));
      };
      const auto y = p.own(std::as_const(p.labels));
      const auto w = p.own(std::as_const(weights));
      const auto s = comm.rank() == guilty ? p.own(std::as_const(p.student).data(), columns) : p.own_s();
      const std::string what = ranks::fault_of<Fault>([&] { (void)call(s, {y.begin(), y.end()}, {w.begin(), w.end()}); });
      // nobody is left waiting
      EXPECT_ON_RANK(lk::all_reduce_sum(comm, 1) == comm.size());
      return what;
    };
    const std::type_identity<lk::value_error> value;
    const std::type_identity<lk::shape_error> shape;
    const auto is = [&](const std::string& got, const std::string& expected) {
      if (got != "limbeck: " + whose + expected) throw std::logic_error(got + " instead of limbeck: " + whose + expected);
    };
    is(after(value, [](parts& p, auto&, auto&, auto&, auto&) { p.student[(p.first + 2) * 12 + 5] = NAN; }),
       "student is nan at row " + std::to_string(2) + ", class 5; logits are finite, or -inf for a masked class");
    is(after(value, [](parts& p, auto&, auto&, auto&, auto&) { p.teacher[(p.first + 3) * 12 + 1] = INFINITY; }),
       "teacher is inf at row 3, column 1, expected a finite number");
    is(after(value, [](parts& p, auto&, auto&, auto&, auto&) { p.labels[p.first + 1] = 12; }),
       "labels is 12 at row 1, expected 0 to 11, or ignore_index -100");
    is(after(value, [](parts& p, auto& weights, auto&, auto&, auto&) { weights[p.first + 2] = -1; }),
       "row_weights is -1 at row 2, expected a finite number that is not negative");
    const auto counts = lk::all_gather(comm, fine.count);
    is(after(shape, [](parts&, auto&, auto& labels, auto&, auto&) { --labels; }),
       "labels has " + std::to_string(counts.back() - 1) + " elements, expected " + std::to_string(counts.back()) + " (one a row)");
    const auto first = std::find_if(counts.begin(), counts.end(), [](std::size_t c) { return c > 0; }) - counts.begin();
    if (first == guilty) return;
    const std::string model = " on rank " + std::to_string(first) + "; ranks bring parts of one batch";
    is(after(value, [](parts&, auto&, auto&, double& at, auto&) { at = 0.75; }), "progress is another than" + model);
    is(after(value, [](parts&, auto&, auto&, auto&, double& total) { total += 1; }), "mean_over is another than" + model);
    is(after(shape, [](parts&, auto&, auto&, auto&, auto&) {}, 9), "student has 9 columns, and 12" + model);
  });
}

TEST_CASE("A target whose row cannot be made on one rank, and a mask of classes that one lacks, are faults of all") {
  on_any_ranks([](const auto& comm) {
    if (comm.size() == 1) return;
    const bool last = comm.rank() == comm.size() - 1;
    const std::string whose = "limbeck: rank " + std::to_string(comm.size() - 1) + " of " + std::to_string(comm.size()) + ": ";
    const parts p(comm, 1, 12, 12);
    const lk::objective objective{lk::on<lk::masked>(lk::reverse_kl{})};
    std::vector<int> mask(12, 1), no_mask;
    mask[3] = 0;
    const auto call = [&](const auto& student, std::size_t bad, const std::vector<int>& classes) {
      (void)objective.value(student, damaged_target{student.samples, student.classes, bad}, lk::class_mask(classes), lk::batch_over(comm));
    };
    EXPECT_ON_RANK(ranks::fault_of<std::runtime_error>([&] { call(p.own_s(), last ? 1 : 99, mask); }) == whose + "row 1 is damaged");
    EXPECT_ON_RANK(ranks::fault_of<lk::value_error>([&] {
                     if (last) call(lk::rows<const double>(nullptr, 0, 0), 99, no_mask);
                     else call(p.s(), 99, mask);
                   }) == whose + "class_mask is another than on rank 0; ranks bring parts of one batch");
  });
}

TEST_CASE("A call sends its rows once, whatever the number of losses, and two short messages") {
  on_any_ranks([](const auto& comm) {
    const parts p(comm, 1, 12, 7);
    const lk::counted counted(comm);
    const auto objective = lk::rkd_distance{} + lk::pkt{} + lk::linear_cka{};
    (void)objective.value(p.own_s(), p.own_t(), lk::batch_over(counted));
    if (comm.size() == 1) return EXPECT_ON_RANK(counted.calls() == 0);
    const auto counts = lk::all_gather(comm, p.count);
    const std::size_t others = static_cast<std::size_t>(comm.size() - 1), rows = *std::max_element(counts.begin(), counts.end());
    EXPECT_ON_RANK(counted.calls() == 3 && counted.bytes() == others * (rows * 8 * (12 + 7) + sizeof(lk::detail::batch_part) + 8));
  });
}

TEST_CASE("Tensors whose type is known at run time are of one type on all ranks; a batch may have no rows at all") {
  const lk::objective objective{lk::linear_cka{}};
  on_any_ranks([&](const auto& comm) {
    const parts p(comm, 3, 5, 5);
    const std::vector<float> s(p.student.begin(), p.student.end()), t(p.teacher.begin(), p.teacher.end());
    const double one = objective.value(lk::rows(s.data(), p.n, 5), lk::rows(t.data(), p.n, 5));
    const auto any = [&](const auto& x) {
      using T = std::remove_cvref_t<decltype(x[0])>;
      const std::array<std::ptrdiff_t, 2> shape{static_cast<std::ptrdiff_t>(p.count), 5};
      return lk::any_tensor(x.data() + p.first * 5, lk::element_type_of<T>, shape);
    };
    const auto call = [&](const auto& student, const auto& teacher) {
      return objective.value(any(student), any(teacher), lk::batch_over(comm));
    };
    EXPECT_ON_RANK(call(s, t) == one);
    const std::size_t with_rows = lk::all_reduce_sum(comm, p.count > 0 ? std::size_t{1} : std::size_t{0});
    const bool last = comm.rank() == comm.size() - 1;
    const std::string words = ranks::fault_of<lk::value_error>([&] { (void)(last ? call(s, p.teacher) : call(s, t)); });
    if (with_rows > 1)
      EXPECT_ON_RANK(words.find("the element type of teacher is another than on rank ") != std::string::npos);
    EXPECT_ON_RANK(objective.value(lk::rows<const float>(nullptr, 0, 5), lk::rows<const float>(nullptr, 0, 5), lk::batch_over(comm)) == 0);
  });
}
