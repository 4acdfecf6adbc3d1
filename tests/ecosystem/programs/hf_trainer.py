"""Hugging Face Trainer: a tiny BERT, made from a configuration, finds which token repeats.

Gradient accumulation, a linear schedule with warm-up and an evaluation per epoch.
"""

import sys

import torch
from torch.utils.data import Dataset
from transformers import BertConfig, BertForSequenceClassification, Trainer, TrainingArguments
from transformers.utils import logging

logging.set_verbosity_error()
logging.disable_progress_bar()


class Repeats(Dataset):
    """Sequences of 12 tokens; the label says which of four tokens comes first."""

    def __init__(self, size, seed):
        generator = torch.Generator().manual_seed(seed)
        self.tokens = torch.randint(8, 64, (size, 12), generator=generator)
        self.labels = torch.randint(4, (size,), generator=generator)
        self.tokens[:, 0] = self.labels + 2

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, index):
        tokens = self.tokens[index]
        return {
            "input_ids": tokens,
            "attention_mask": torch.ones_like(tokens),
            "labels": self.labels[index],
        }


def main(folder):
    torch.manual_seed(7)
    config = BertConfig(
        vocab_size=64,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=16,
        num_labels=4,
    )
    arguments = TrainingArguments(
        output_dir=folder,
        num_train_epochs=4,
        per_device_train_batch_size=16,
        gradient_accumulation_steps=2,
        learning_rate=3e-3,
        warmup_steps=10,
        eval_strategy="epoch",
        save_strategy="no",
        report_to=[],
        use_cpu=True,
        disable_tqdm=True,
        logging_steps=1000,
        seed=7,
    )
    trainer = Trainer(
        BertForSequenceClassification(config),
        arguments,
        train_dataset=Repeats(640, 1),
        eval_dataset=Repeats(128, 2),
    )
    result = trainer.train()
    print(f"steps {trainer.state.global_step} loss {result.training_loss:.4f}")


if __name__ == "__main__":
    main(sys.argv[1])
