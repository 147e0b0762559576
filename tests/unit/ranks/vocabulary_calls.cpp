// Calls on a vocabulary in shards: what travels, what is refused, heads, values, reports, tensors of 16 bits.
#include "ranks.hpp"

#include <limbeck/diffusion.hpp>
#include <limbeck/limbeck.hpp>

#include <algorithm>
#include <cmath>
#include <limits>

namespace {

namespace lk = limbeck;
using ranks::fault_of;
using ranks::on_any_ranks;

std::vector<float> normal(std::size_t n, unsigned seed) {
  lk::random_stream random(seed);
  std::vector<float> x(n);
  for (float& v : x) v = static_cast<float>(2 * random.normal());
  return x;
}

/// Some rows as a whole, and the columns of a rank.
struct split {
  std::size_t n, classes, first, count;
  std::vector<float> student, teacher, own_student, own_teacher, gradient;
  std::vector<int> labels;
  template <class C>
  split(const C& comm, std::size_t rows, std::size_t c) : n(rows), classes(c), student(normal(rows * c, 1)), teacher(normal(rows * c, 2)) {
    const auto own = lk::shards::even(comm, classes);
    first = own.first(), count = own.count();
    for (std::size_t r = 0; r < n; ++r) labels.push_back(static_cast<int>(r * 7 % classes));
    cut();
  }
  void cut() {
    own_student.clear(), own_teacher.clear();
    for (std::size_t r = 0; r < n; ++r)
      for (std::size_t k = first; k < first + count; ++k) {
        own_student.push_back(student[r * classes + k]);
        own_teacher.push_back(teacher[r * classes + k]);
      }
    gradient.assign(n * count, 0);
  }
  lk::rows<const float> s() const { return {own_student.data(), n, count}; }
  lk::rows<const float> t() const { return {own_teacher.data(), n, count}; }
  lk::rows<const float> whole_s() const { return {student.data(), n, classes}; }
  lk::rows<const float> whole_t() const { return {teacher.data(), n, classes}; }
  lk::rows<float> g() { return {gradient.data(), n, count}; }
};

bool near(double a, double b, double scale) { return std::abs(a - b) <= 2e-5 * scale; }

/// Two workers, each a thread.
struct threads {
  std::size_t workers() const { return 2; }
  template <class Task>
  void operator()(std::size_t tasks, const Task& task) const {
    std::jthread other([&] {
      for (std::size_t i = 1; i < tasks; i += 2) task(i, std::size_t{1});
    });
    for (std::size_t i = 0; i < tasks; i += 2) task(i, std::size_t{0});
  }
};

}  // namespace

TEST_CASE("Messages are of blocks of rows, not of rows") {
  on_any_ranks([](const auto& comm) {
    split b(comm, 40, 12);
    const lk::objective kl{lk::forward_kl{}};
    lk::workspace ws;
    const auto calls = [&](std::size_t block_rows, const auto& o) {
      const lk::counted counts(comm);
      o(b.s(), b.t(), lk::unread_is_fine, b.labels, lk::into(b.g()), ws, lk::classes_over(counts, {.block_rows = block_rows}));
      return counts.calls();
    };
    if (comm.size() == 1) return;
    EXPECT_ON_RANK(calls(8, kl) == 3 + 5 * 3);
    EXPECT_ON_RANK(calls(40, kl) == 3 + 3);
    EXPECT_ON_RANK(calls(0, kl) == 3 + 3);
    EXPECT_ON_RANK(calls(40, lk::objective{lk::mse{}}) == 3 + 1);
    EXPECT_ON_RANK(calls(40, lk::objective{lk::of_student(lk::margin{}) * lk::cross_entropy{}}) == 3 + 5);
    b.teacher = b.student;
    b.cut();
    EXPECT_ON_RANK(calls(40, kl) == 3 + 4);
    const lk::counted counts(comm);
    b.teacher = normal(b.teacher.size(), 5);
    b.cut();
    kl(b.s(), b.t(), lk::into(b.g()), lk::classes_over(counts, {.block_rows = 40}));
    const std::size_t others = static_cast<std::size_t>(comm.size() - 1), blocks = 40 * (4 + 3 + 4) * 4 + 4;
    EXPECT_ON_RANK(counts.bytes() == (blocks + 8 + 8 + 64) * others);
  });
}

TEST_CASE("A fault of one rank is every rank's, with its class among all") {
  on_any_ranks([](const auto& comm) {
    const lk::objective kl{lk::forward_kl{} + lk::cross_entropy{}};
    const auto message = [&](split& b, const auto& o) {
      b.cut();
      return fault_of<lk::value_error>([&] { 
        o(b.s(), b.t(), b.labels, lk::unread_is_fine, lk::into(b.g()), lk::classes_over(comm, {.block_rows = 8}));
      });
    };
    const auto whole = [&](split& b, const auto& o) {
      std::vector<float> g(b.n * b.classes);
      return fault_of<lk::value_error>([&] { o(b.whole_s(), b.whole_t(), b.labels, lk::unread_is_fine, lk::into(lk::rows<float>(g.data(), b.n, b.classes))); });
    };
    const auto agrees = [&](split& b, const auto& o) {
      const std::string expected = whole(b, o), got = message(b, o);
      EXPECT_ON_RANK(!expected.empty() && got == expected);
    };
    for (const std::size_t at : {std::size_t{0}, std::size_t{5}, std::size_t{11}}) {
      split b(comm, 20, 12);
      b.student[17 * 12 + at] = std::numeric_limits<float>::quiet_NaN();
      agrees(b, kl);
      agrees(b, lk::objective{lk::mse{}});
      b.teacher[9 * 12 + at] = std::numeric_limits<float>::infinity();
      agrees(b, kl);
      agrees(b, lk::objective{lk::mse{}});
      b.labels[3] = 12;
      agrees(b, kl);
    }
    split b(comm, 20, 12);
    std::fill_n(b.student.begin() + 12 * 4, 12, -std::numeric_limits<float>::infinity());
    agrees(b, kl);
    agrees(b, lk::objective{lk::mse{}});

    // arguments: one rank has too few rows of the teacher, or other rows than the others
    if (comm.size() == 1) return;
    split c(comm, 20, 12);
    const bool last = comm.rank() == comm.size() - 1;
    const std::string shape = fault_of<lk::shape_error>([&] {
      const lk::rows<const float> fewer(c.own_teacher.data(), last ? 19 : 20, c.count);
      kl(c.s(), fewer, c.labels, lk::into(c.g()), lk::classes_over(comm));
    });
    EXPECT_ON_RANK(shape.find("teacher has shape 19 x") != std::string::npos && shape.find("limbeck: rank ") == 0);
    const std::string rows = fault_of<lk::shape_error>([&] {
      const std::size_t n = last ? 19 : 20;
      const std::vector<int> y(c.labels.begin(), c.labels.begin() + static_cast<std::ptrdiff_t>(n));
      kl(lk::rows<const float>(c.own_student.data(), n, c.count), lk::rows<const float>(c.own_teacher.data(), n, c.count), y,
         lk::into(lk::rows<float>(c.gradient.data(), n, c.count)), lk::classes_over(comm));
    });
    EXPECT_ON_RANK(rows.find("limbeck: classes_over: rows that count are 20 on rank 0 and 19 on rank") == 0);
  });
}

TEST_CASE("Values, reports, learned temperatures and formulas over shards") {
  on_any_ranks([](const auto& comm) {
    split b(comm, 30, 23);
    double t = 2;
    const lk::objective o{lk::at_temperature(lk::learned(t), lk::forward_kl{}) + lk::cross_entropy{}};
    const auto over = lk::classes_over(comm, {.block_rows = 16});
    const double whole = o.value(b.whole_s(), b.whole_t(), b.labels);
    EXPECT_ON_RANK(near(o.value(b.s(), b.t(), b.labels, over), whole, whole));
    const auto got = o.report(b.s(), b.t(), b.labels, over), expected = o.report(b.whole_s(), b.whole_t(), b.labels);
    for (std::size_t i = 0; i < 2; ++i) {
      EXPECT_ON_RANK(near(got.terms()[i].value, expected.terms()[i].value, 1));
      EXPECT_ON_RANK(near(got.terms()[i].gradient_norm, expected.terms()[i].gradient_norm, 1));
    }
    std::vector<float> g(b.n * b.classes);
    const auto e = o(b.whole_s(), b.whole_t(), b.labels, lk::into(lk::rows<float>(g.data(), b.n, b.classes)));
    const auto mine = o(b.s(), b.t(), b.labels, lk::into(b.g()), over);
    EXPECT_ON_RANK(near(mine.temperature_gradient[0], e.temperature_gradient[0], 1));

    // a formula in the place of the teacher, read in parts by one loss and as rows by the other
    const auto at = lk::levels(lk::rectified{}, 0.4);
    const auto same = [&](const auto& loss) {
      const auto part = lk::noised(b.t(), b.s(), at), all = lk::noised(b.whole_t(), b.whole_s(), at);
      const double expected_loss = loss(b.whole_s(), all, lk::into(lk::rows<float>(g.data(), b.n, b.classes)));
      EXPECT_ON_RANK(near(loss(b.s(), part, lk::into(b.g()), over), expected_loss, expected_loss));
      for (std::size_t r = 0; r < b.n; ++r)
        for (std::size_t k = 0; k < b.count; ++k) EXPECT_ON_RANK(near(b.gradient[r * b.count + k], g[r * b.classes + b.first + k], 0.01));
    };
    same(lk::objective{lk::mse{}});
    same(lk::objective{lk::forward_kl{}});
  });
}

TEST_CASE("Heads over shards: the hidden states' gradient is summed, weights and bias are the rank's") {
  on_any_ranks([](const auto& comm) {
    const std::size_t n = 50, width = 6;
    for (const std::size_t classes : {std::size_t{21}, std::size_t{3}}) {  // of 4 ranks one has none
      const auto own = lk::shards::even(comm, classes);
      const std::vector<float> hidden = normal(n * width, 1), weights = normal(classes * width, 2), bias = normal(classes, 3),
                               taught = normal(classes * width, 4);
      std::vector<int> labels;
      for (std::size_t r = 0; r < n; ++r) labels.push_back(r % 10 == 3 ? -100 : static_cast<int>(r % classes));
      const lk::objective o{lk::cross_entropy{} + lk::at_temperature(2, lk::forward_kl{})};
      const auto run = [&](std::size_t first, std::size_t count, std::vector<float>& h, std::vector<float>& w, std::vector<float>& c, const auto&... more) {
        const lk::rows<const float> x(hidden.data(), n, width), mine(weights.data() + first * width, count, width),
            teacher(taught.data() + first * width, count, width);
        const std::span<const float> own_bias(bias.data() + first, count);
        h.assign(n * width, 0.5f), w.assign(count * width, 0), c.assign(count, 0);
        return o(lk::logits_of(x, mine, own_bias), lk::logits_of(x, teacher), labels,
                 lk::add_to(lk::head_gradient(lk::rows<float>(h.data(), n, width), lk::rows<float>(w.data(), count, width), std::span<float>(c))), more...)
            .loss;
      };
      std::vector<float> h, w, c, whole_h, whole_w, whole_c;
      const double whole = run(0, classes, whole_h, whole_w, whole_c);
      const double got = run(own.first(), own.count(), h, w, c, lk::classes_over(comm));
      EXPECT_ON_RANK(near(got, whole, whole));
      for (std::size_t i = 0; i < h.size(); ++i) EXPECT_ON_RANK(near(h[i], whole_h[i], 1));
      for (std::size_t i = 0; i < w.size(); ++i) EXPECT_ON_RANK(near(w[i], whole_w[own.first() * width + i], 1));
      for (std::size_t i = 0; i < c.size(); ++i) EXPECT_ON_RANK(near(c[i], whole_c[own.first() + i], 1));
      const auto alike = lk::all_gather(comm, h[7]);
      EXPECT_ON_RANK(std::all_of(alike.begin(), alike.end(), [&](float x) { return x == alike[0]; }));
    }
  });
}

TEST_CASE("Ranks that were called in different ways say so, and nobody waits") {
  const lk::objective o{lk::forward_kl{} + lk::cross_entropy{}};
  on_any_ranks([&](const auto& comm) {
    if (comm.size() == 1) return;
    const bool last = comm.rank() == comm.size() - 1;
    split b(comm, 20, 12);
    const lk::communicator_ref world(comm);
    const auto over = lk::classes_over(world, {.block_rows = last ? std::size_t{8} : std::numeric_limits<std::size_t>::max()});
    EXPECT_ON_RANK(fault_of<lk::shape_error>([&] { o.value(b.s(), b.t(), b.labels, over); }).find("block_rows") != std::string::npos);
    const auto same = lk::classes_over(world, {.block_rows = std::numeric_limits<std::size_t>::max()});
    o.value(b.s(), b.t(), b.labels, same);

    std::vector<int> labels = b.labels;
    if (last) labels[3] = 0;
    EXPECT_ON_RANK(fault_of<lk::shape_error>([&] { o.value(b.s(), b.t(), labels, same); }).find("labels") != std::string::npos);
    const lk::objective warm{lk::at_temperature(last ? 2.0 : 3.0, lk::forward_kl{})};
    EXPECT_ON_RANK(!fault_of<lk::shape_error>([&] { warm.value(b.s(), b.t(), same); }).empty());

    // heads: the gradient of the hidden states is asked on some ranks only; on some no row counts
    const std::vector<float> hidden = normal(20 * 5, 1), weights = normal(12 * 5, 2);
    const lk::rows<const float> h(hidden.data(), 20, 5), w(weights.data() + b.first * 5, b.count, 5);
    std::vector<float> gh(20 * 5), gw(b.count * 5);
    const lk::objective ce{lk::cross_entropy{}};
    EXPECT_ON_RANK(!fault_of<lk::shape_error>([&] {
      const auto of_hidden = last ? lk::rows<float>() : lk::rows<float>(gh.data(), 20, 5);
      ce(lk::logits_of(h, w), b.labels, lk::into(lk::head_gradient(of_hidden, lk::rows<float>(gw.data(), b.count, 5))), same);
    }).empty());
    if (last) labels.assign(20, -100);
    EXPECT_ON_RANK(!fault_of<lk::shape_error>([&] {
      ce(lk::logits_of(h, w), labels, lk::into(lk::head_gradient(lk::rows<float>(gh.data(), 20, 5), lk::rows<float>(gw.data(), b.count, 5))), same);
    }).empty());
  });
}

TEST_CASE("A row whose label is none, before close rows, where ranks have few and many classes") {
  on_any_ranks([](const auto& comm) {
    if (comm.size() == 1) return;
    const std::size_t n = 8, own = comm.rank() == 0 ? 2000 : 3;
    const std::vector<float> z = normal(n * own, 1);
    const lk::rows<const float> rows(z.data(), n, own);
    std::vector<int> labels(n, 1);
    labels[0] = 1 << 20;
    const lk::communicator_ref world(comm);
    const lk::objective o{lk::forward_kl{} + lk::cross_entropy{}};
    EXPECT_ON_RANK(fault_of<lk::value_error>([&] { o.value(rows, rows, labels, lk::classes_over(world)); }).find("at row 0") != std::string::npos);
  });
}

TEST_CASE("Tensors of 16 bits, columns that stand apart, and workers, over shards") {
  on_any_ranks([](const auto& comm) {
    const std::size_t n = 45;
    split b(comm, n, 37);
    const lk::communicator_ref world(comm);
    const lk::objective o{lk::forward_kl{} + lk::cross_entropy{}};
    std::vector<lk::bfloat16> s, t, whole_s, whole_t;
    for (std::size_t i = 0; i < b.student.size(); ++i) {
      whole_s.emplace_back(b.student[i]), whole_t.emplace_back(b.teacher[i]);
      b.student[i] = static_cast<float>(whole_s[i]);
    }
    b.cut();
    for (std::size_t i = 0; i < b.own_student.size(); ++i) s.emplace_back(b.own_student[i]), t.emplace_back(b.own_teacher[i]);
    std::vector<lk::bfloat16> g(n * b.count), whole_g(n * 37);
    const double whole = o(lk::rows<const lk::bfloat16>(whole_s.data(), n, 37), lk::rows<const lk::bfloat16>(whole_t.data(), n, 37), b.labels,
                           lk::into(lk::rows<lk::bfloat16>(whole_g.data(), n, 37))).loss;
    // one worker for each block: some of one side's classes are a row apart
    std::vector<float> turned(b.own_student.size());
    for (std::size_t r = 0; r < n; ++r)
      for (std::size_t k = 0; k < b.count; ++k) turned[k * n + r] = b.own_student[r * b.count + k];
    const threads many;
    const lk::rows<const lk::bfloat16> teacher(t.data(), n, b.count);
    const double got = o(lk::rows<const lk::bfloat16>(s.data(), n, b.count), teacher, b.labels,
                         lk::into(lk::rows<lk::bfloat16>(g.data(), n, b.count)), lk::classes_over(world, {.block_rows = 24}), lk::on(many)).loss;
    EXPECT_ON_RANK(near(got, whole, whole));
    for (std::size_t r = 0; r < n; ++r)
      for (std::size_t k = 0; k < b.count; ++k)
        EXPECT_ON_RANK(std::abs(static_cast<float>(g[r * b.count + k]) - static_cast<float>(whole_g[r * 37 + b.first + k])) <= 2e-4F);
    const lk::rows<const float> apart(turned.data(), n, b.count, 1, static_cast<std::ptrdiff_t>(n));
    std::vector<float> gt(n * b.count);
    const double again = o(apart, teacher, b.labels, lk::into(lk::rows<float>(gt.data(), n, b.count, 1, static_cast<std::ptrdiff_t>(n))),
                           lk::classes_over(world), lk::on(many)).loss;
    EXPECT_ON_RANK(near(again, whole, whole));
    for (std::size_t r = 0; r < n; ++r)
      for (std::size_t k = 0; k < b.count; ++k)
        EXPECT_ON_RANK(std::abs(gt[k * n + r] - static_cast<float>(g[r * b.count + k])) <= 2e-4F);
  });
}

TEST_CASE("Named outputs over shards, and tensors whose type is known at run time") {
  on_any_ranks([](const auto& comm) {
    const std::size_t n = 20;
    split b(comm, n, 23);
    const lk::communicator_ref world(comm);
    const lk::objective o{lk::at<"a">(lk::cross_entropy{}) + 0.5 * lk::at<"b">(lk::forward_kl{})};
    const auto value = [&](const auto& s, const auto& t, const auto&... more) {
      return o.value(lk::outputs{lk::output<"a">(s), lk::output<"b">(t)}, lk::outputs{lk::output<"a">(t), lk::output<"b">(s)}, b.labels, more...);
    };
    const double whole = value(b.whole_s(), b.whole_t());
    EXPECT_ON_RANK(near(value(b.s(), b.t(), lk::classes_over(world)), whole, whole));

    // a type that there is not, on one rank
    const std::ptrdiff_t shape[] = {static_cast<std::ptrdiff_t>(n), static_cast<std::ptrdiff_t>(b.count)};
    const bool last = comm.rank() == comm.size() - 1;
    const lk::any_tensor s(b.own_student.data(), lk::element_type::float32, shape),
        t(b.own_teacher.data(), last ? lk::element_type::int32 : lk::element_type::float32, shape);
    const lk::objective kl{lk::forward_kl{}};
    const std::string fault = fault_of<lk::value_error>([&] { kl.value(s, t, lk::classes_over(world)); });
    EXPECT_ON_RANK(fault.find("int32") != std::string::npos);
    const lk::any_tensor u(b.own_teacher.data(), lk::element_type::float32, shape);
    const double one = kl.value(b.whole_s(), b.whole_t());
    EXPECT_ON_RANK(near(kl.value(s, u, lk::classes_over(world)), one, one));
  });
}
