#include "training.hpp"

#include "../common/optimizers.hpp"

#include <limbeck/trainer.hpp>

#include <memory>
#include <vector>

namespace character_models {
namespace {

std::vector<std::size_t> anywhere(const lk::draw_request& r) {
  lk::random_stream random = r.random;
  std::vector<std::size_t> starts(r.batch);
  for (std::size_t& s : starts) s = random.below(r.rows);
  return starts;
}

struct looks {
  const course& how;
  void after_epoch(lk::training_run& run) const {
    if (how.look) how.look(run);
  }
};

}  // namespace

teacher nobody() {
  return [none = std::make_shared<matrix>()](windows::batch_type&) -> const matrix& { return *none; };
}

teacher remembering(const matrix& logits, const windows& data) {
  return [&logits, &data, rows = std::make_shared<matrix>()](windows::batch_type& b) -> const matrix& {
    data.gather(logits, b, *rows);
    return *rows;
  };
}

teacher reading(gru& model) {
  return [own = std::make_shared<gru>(model)](windows::batch_type& b) -> const matrix& { return own->forward(b.inputs); };
}

void fit(gru& model, teacher t, any_loss loss, const windows& data, const course& how) {
  lk::on_policy source(how.share, model, data, how.write);
  lk::trainer{model, t, loss, examples::adam(lk::cosine(how.rate, how.rate / 50))}.fit(
      lk::drawn_by(anywhere, source, how.every), {.steps = how.updates, .batch = how.batch, .seed = how.seed, .checkpoint = how.checkpoint}, looks{how});
  model.eval();
}

}  // namespace character_models
