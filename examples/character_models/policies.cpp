// Students that go on with what they write themselves, or what a teacher mends of it: as many updates, of as many characters.

#include "gru_scorer.hpp"
#include "lessons.hpp"
#include "losses.hpp"

#include "../common/parallel.hpp"
#include "../common/table.hpp"

#include <limbeck/decoding/answer_logits.hpp>
#include <limbeck/decoding/interleaved.hpp>
#include <limbeck/decoding/rewritten.hpp>
#include <limbeck/decoding/sample.hpp>
#include <limbeck/trainer/prompted_data.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdio>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <functional>
#include <numbers>
#include <stdexcept>
#include <string>
#include <vector>

namespace character_models {
namespace {

constexpr std::size_t prompt = 32, answer = 64;

/// Who writes, given the student and its teacher.
using authors = std::function<writer(gru&, gru&)>;

lk::sampling writing(std::uint64_t seed) { return {.length = answer, .seed = seed}; }

writer student_writes(gru& student, gru&) {
  return [&](const lk::rollouts& own, std::uint64_t seed) {
    return lk::sample(gru_scorer(student), lk::prompts_of(own), writing(seed));
  };
}
writer teacher_writes(gru&, gru& taught) {
  return [&](const lk::rollouts& own, std::uint64_t seed) {
    return lk::sample(gru_scorer(taught), lk::prompts_of(own), writing(seed));
  };
}
/// SKD: the student drafts, the teacher replaces what is not among its five likeliest.
writer both_write(gru& student, gru& taught) {
  return [&](const lk::rollouts& own, std::uint64_t seed) {
    return lk::sample(lk::interleaved(gru_scorer(student), gru_scorer(taught), {.top_k = 5}), lk::prompts_of(own), writing(seed));
  };
}
/// KID: a fifth of the text's characters is masked, by one that the text hardly has, and filled in by the student.
authors student_fills(token mask) {
  return [mask](gru& student, gru&) -> writer {
    return [&student, mask](const lk::rollouts& own, std::uint64_t seed) {
      return lk::rewritten(own, {.share = 0.2, .mask = mask, .seed = seed}, gru_scorer(student));
    };
  };
}

struct method {
  std::string name;
  any_loss loss;
  double share;
  authors who;
};

}  // namespace

void compare_policies(lessons& l) {
  const options& o = l.o;
  const windows data(l.text.train, answer, prompt);
  const auto rarest = [&] {
    std::vector<std::size_t> seen(l.text.size());
    for (const token t : l.text.train) ++seen[static_cast<std::size_t>(t)];
    return static_cast<token>(std::min_element(seen.begin(), seen.end()) - seen.begin());
  };
  const std::vector<method> methods{
      {"the text, forward KL", forward_kl(), 0, student_writes},
      {"the text, reverse KL", reverse_kl(), 0, student_writes},
      {"the text, Jensen-Shannon", jensen_shannon(), 0, student_writes},
      {"teacher's writing, forward KL", forward_kl(), 1, teacher_writes},
      {"GKD, share 0.5, Jensen-Shannon", jensen_shannon(), 0.5, student_writes},
      {"GKD, share 1, Jensen-Shannon", jensen_shannon(), 1, student_writes},
      {"GKD, share 1, reverse KL", reverse_kl(), 1, student_writes},
      {"SKD, forward KL", forward_kl(), 1, both_write},
      {"KID, reverse KL", reverse_kl(), 1, student_fills(rarest())},
  };

  // How far the students are from the teacher on what they write behind pieces of the test text.
  const windows unseen(l.text.test, answer, prompt);
  std::vector<std::size_t> starts;
  for (std::size_t s = 0; s + 1'000 < unseen.size() && starts.size() < 128; s += unseen.size() / 130) starts.push_back(s);
  const lk::rollouts behind = unseen.own(starts);
  const auto on_its_own = [&](gru& student) {
    const lk::rollouts written = lk::sample(gru_scorer(student), lk::prompts_of(behind), writing(1));
    gru taught = l.first;
    return lk::sequence_divergence(gru_scorer(student), gru_scorer(taught), written) / (answer * std::numbers::ln2);
  };

  const auto seeds = static_cast<std::size_t>(o.seeds);
  std::vector<std::vector<double>> results(methods.size() + 1, std::vector<double>(seeds)), apart = results;
  std::vector<gru> begun;
  for (std::size_t s = 0; s < seeds; ++s) begun.push_back(l.new_student(s));
  examples::parallel_for(o.seeds, o.threads, [&](int seed) {
    const auto s = static_cast<std::size_t>(seed);
    const windows text(l.text.train, 64);
    fit(begun[s], remembering(l.of_first, text), forward_kl(), text,
        {.updates = static_cast<std::size_t>(o.updates), .rate = 0.01, .seed = s});
    gru student = begun[s];
    results[0][s] = bits(read_all(student, l.text.test), l.text.test);
    apart[0][s] = on_its_own(student);
  });
  const int runs = static_cast<int>(methods.size() * seeds);
  const auto written_after = [&](gru& model) {
    return l.text.spell(lk::sample(gru_scorer(model), lk::prompts_of(unseen.own(std::vector<std::size_t>{1'000})),
                                   {.length = 160, .seed = 3}).answer(0));
  };
  std::vector<std::string> samples(methods.size());
  {
    examples::progress_line progress("training " + std::to_string(runs) + " students on", runs);
    examples::parallel_for(runs, o.threads, [&](int run) {
      const std::size_t m = static_cast<std::size_t>(run) / seeds, s = static_cast<std::size_t>(run) % seeds;
      gru student = begun[s], taught = l.first;
      fit(student, reading(taught), methods[m].loss, data,
          {.updates = static_cast<std::size_t>(o.policy_updates), .batch = 16, .rate = 0.003, .seed = 50 + s,
           .share = methods[m].share, .write = methods[m].who(student, taught)});
      results[m + 1][s] = bits(read_all(student, l.text.test), l.text.test);
      apart[m + 1][s] = on_its_own(student);
      if (s == 0) samples[m] = written_after(student);
      progress.advance();
    });
  }
  examples::table t("on policy", {{"bits", 3}, {"less the text", 3}, {"KL on its own writing", 3}, {"less the text", 3}});
  std::ofstream csv(std::filesystem::path(o.out) / "policies.csv");
  csv << "method,seed,bits,kl on its own writing\n";
  for (std::size_t m = 0; m <= methods.size(); ++m) {
    const std::string name = m == 0 ? "before" : methods[m - 1].name;
    std::vector<double> less = results[m], nearer = apart[m];
    for (std::size_t s = 0; s < seeds; ++s) {
      less[s] -= results[1][s], nearer[s] -= apart[1][s];
      csv << '"' << name << "\"," << s << ',' << results[m][s] << ',' << apart[m][s] << '\n';
    }
    t.add(name, {results[m], less, apart[m], nearer});
  }
  t.print();
  std::printf("behind '%s':\n", l.text.spell(std::span(l.text.test).subspan(1'000, prompt)).c_str());
  std::printf("[the teacher]\n%s\n[before]\n%s\n", written_after(l.first).c_str(), written_after(begun[0]).c_str());
  for (std::size_t m = 0; m < methods.size(); ++m) std::printf("[%s]\n%s\n", methods[m].name.c_str(), samples[m].c_str());
  if (!csv.flush()) throw std::runtime_error("cannot write into " + o.out);
}

}  // namespace character_models
