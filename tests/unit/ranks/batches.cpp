// A batch that lies on several ranks: each loss between samples is the one machine's, bit for bit.
#include "batch.hpp"
#include "ranks.hpp"

#include <limbeck/features.hpp>
#include <limbeck/relations.hpp>

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
/// f(name, loss, columns of the student, of the teacher) for all there are that hold nothing.
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
}

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
