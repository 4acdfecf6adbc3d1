"""Lightning: digits by a LightningModule and its Trainer, a schedule by epoch, a validation set."""

import logging
import sys
import warnings

import lightning
import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset, random_split

warnings.filterwarnings("ignore")
logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)


class Digits(lightning.LightningModule):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(
            nn.Linear(64, 64),
            nn.ReLU(),
            nn.Dropout(0.1),
            nn.Linear(64, 32),
            nn.ReLU(),
            nn.Linear(32, 10),
        )

    def forward(self, images):
        return self.net(images)

    def training_step(self, batch, _):
        images, labels = batch
        loss = functional.cross_entropy(self(images), labels)
        self.log("train_loss", loss)
        return loss

    def validation_step(self, batch, _):
        images, labels = batch
        self.log("accuracy", (self(images).argmax(1) == labels).float().mean())

    def configure_optimizers(self):
        optimizer = torch.optim.AdamW(self.parameters(), lr=1e-3)
        return [optimizer], [torch.optim.lr_scheduler.StepLR(optimizer, 3, 0.5)]


def main():
    lightning.seed_everything(7)
    digits = load_digits()
    images = torch.tensor(digits.data, dtype=torch.float32)
    images = (images - images.mean()) / images.std()
    train, held_out = random_split(TensorDataset(images, torch.tensor(digits.target)), [1500, 297])
    devices = int(sys.argv[1]) if len(sys.argv) > 1 else 1
    trainer = lightning.Trainer(
        max_epochs=6,
        accelerator="cpu",
        devices=devices,
        strategy="ddp" if devices > 1 else "auto",
        gradient_clip_val=1.0,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    model = Digits()
    trainer.fit(
        model,
        DataLoader(train, batch_size=50, shuffle=True),
        DataLoader(held_out, batch_size=99),
    )
    print(f"steps {trainer.global_step} accuracy {trainer.callback_metrics['accuracy']:.3f}")


if __name__ == "__main__":
    main()
