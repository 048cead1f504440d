"""Wrong inputs over all commands and layers, and what a person is told: enough to put each right."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

SIZE = ["data.num_scenes=40", "data.size=32"]

# What is typed, and what the answer has to say. `<folder>` is a folder with an image, a text file and broken files.
WRONG: dict[str, tuple[str, list[str], list[str]]] = {
    # Arguments: the first layer.
    "option of a group": ("train", ["backbone=resnet19"], ["backbone=resnet19", "did you mean 'resnet18'?"]),
    "option unlike any": ("train", ["task=tracking"], ["choose one of classification, detection, multilabel"]),
    "no option": ("train", ["optimizer="], ["choose one of adamw, sgd"]),
    "list of options": ("train", ["backbone=[vgg16]"], ["takes one option", "vgg16"]),
    "group": ("train", ["taks=segmentation"], ["did you mean task?"]),
    "root key": ("train", ["epoch=3"], ["here it is epochs="]),
    "key of a part": ("train", ["optimizer.lrr=1"], ["did you mean optimizer.lr?"]),
    "key without its part": ("train", ["batch_size=8"], ["did you mean data.batch_size?"]),
    "another tool's word": ("train", ["imgsz=64"], ["here it is data.size="]),
    "key of another option": ("train", ["data.root=x"], ["data=digits has no setting root", "data=image_folder"]),
    "trainer's own word": ("train", ["trainer.max_epochs=3"], ["here it is epochs="]),
    "argument without a plus": ("train", ["trainer.limit_train_batches=5"], ["+trainer.limit_train_batches=..."]),
    "unlike anything": ("train", ["frobnicate=1"], ["--help lists"]),
    "added unlike anything": ("train", ["+typo=1"], ["+typo=1", "there is no setting typo"]),
    "added and there": ("train", ["+epochs=3"], ["without the +: epochs=3"]),
    "added where nothing takes it": ("train", ["+data.foo=1"], ["there is no setting data.foo"]),
    "taken away": ("train", ["~logger"], ["a run needs logger", "csv"]),
    "taken away and not there": ("train", ["~loger"], ["did you mean 'logger'?"]),
    "bare word": ("train", ["segmentation"], ["did you mean task=segmentation?"]),
    "spaces around =": ("train", ["epochs", "=", "3"], ["without spaces around the ="]),
    "unclosed list": ("train", ["data.size=[32"], ["data.size=[32", "cannot be read"]),
    "flag": ("train", ["--hlep"], ["did you mean --help?"]),
    "setting as a flag": ("train", ["--epochs=3"], ["without dashes: epochs=3"]),
    "sweep without -m": ("train", ["backbone=vgg_tiny,resnet_tiny"], ["put -m before"]),
    "values without -m": ("train", ["optimizer.lr=1,2"], ["put -m before", "[a,b]"]),
    "sweep with a wrong option": ("train", ["-m", "backbone=vgg_tiny,resnet_tny"], ["did you mean 'resnet_tiny'?"]),
    "sweep of something else": ("evaluate", ["-m", "checkpoint=<folder>/model.ckpt", "split=val,test"], ["runs once"]),
    "folder of options": ("train", ["--config-dir", "none"], ["--config-dir=none is no folder"]),
    "config to begin with": ("train", ["--config-name", "foo"], ["there is no config foo", "train"]),
    "loss by itself": ("train", ["loss=fcos"], ["loss@head.loss=fcos"]),
    "loss of a head": ("train", ["loss@head.loss=focal"], ["no option 'focal'", "fcos"]),
    "text for a number": ("train", ["optimizer.lr=fast"], ["takes a number, such as 0.004"]),
    "experiment": ("train", ["experiment=mnist"], ["experiment=mnist", "sklearn_digits"]),
    # Completeness: the second layer.
    "no root": ("train", ["data=voc", "task=detection"], ["data.root has no value; give it: data.root=..."]),
    "no such root": ("train", ["data=image_folder", "data.root=/no/such folder"], ["data.root=/no/such folder"]),
    "budget without a unit": ("train", ["budget=5"], ["budget=90s"]),
    "what to tune": ("train", ["tune=rate"], ["tune=rate", "lr or batch"]),
    "tuning in several processes": ("train", ["tune=lr", "trainer=ddp"], ["one process", "add trainer.devices=1"]),
    "tuning a rate that is not there": ("train", ["tune=lr", "~optimizer.lr"], ["give optimizer.lr=0.001"]),
    "no epochs": ("train", ["epochs=0"], ["epochs=0", "at least 1"]),
    "half an epoch": ("train", ["epochs=0.5"], ["whole number"]),
    "run to go on with": ("train", ["resume=none"], ["resume=none is not there", "resume=auto"]),
    "folder to go on with": ("train", ["resume=<folder>/empty"], ["holds no config.yaml"]),
    "model to go on with": ("train", ["resume=<folder>/model.ckpt"], ["give the folder of a run or its last.ckpt"]),
    "sweep to go on with": ("train", ["-m", "seed=1,2", "resume=auto"], ["goes on with one run"]),
    "interval without a unit": ("train", ["save_every='5'"], ["save_every=5 is no duration", "save_every=90s"]),
    "no interval": ("train", ["save_every=0"], ["save_every=0", "save_every=200"]),
    "both lengths": ("train", ["epochs=1", "budget=1min"], ["give one of them"]),
    "size": ("train", ["data.size=-3"], ["[height, width]"]),
    "three sides": ("train", ["data.size=[1,2,3]"], ["data.size=[1, 2, 3]", "[height, width]"]),
    "batch": ("train", ["data.batch_size=0"], ["data.batch_size=0", "at least 1"]),
    "probability": ("train", ["data.mirror=2"], ["data.mirror=2", "0 to 1"]),
    "resize": ("train", ["data.resize=stretch"], ["data.resize=stretch", "fit or crop"]),
    "cache": ("train", ["data.cache=true"], ["data.cache=True", "none, ram or disk"]),
    "seed": ("train", ["seed=-1"], ["seed=-1", "at least 0"]),
    "cut": ("train", ["data.split=foo"], ["data.split=foo", "given or auto"]),
    "fold below the first": ("train", ["data.fold=0/5"], ["data.fold=0/5", "such as 1/5"]),
    "fold above the last": ("train", ["data.fold=6/5"], ["data.fold=6/5", "5/5"]),
    "only one fold": ("train", ["data.fold=1/1"], ["data.fold=1/1", "such as 1/5"]),
    "fold in words": ("train", ["data.fold=x"], ["data.fold=x is no fold"]),
    "groups": ("train", ["data.group=(p[0-9+"], ["data.group=(p[0-9+ is no regular expression", "unterminated"]),
    "limit": ("train", ["data.limit=0"], ["data.limit=0", "at least 1 or null"]),
    "sampler": ("train", ["data.sampler=foo"], ["data.sampler=foo", "shuffle, balanced or repeat_factor"]),
    "rare": ("train", ["data.repeat_threshold=2"], ["data.repeat_threshold=2", "0 to 1"]),
    "one class without a list": ("train", ["data.classes=3"], ["data.classes=3 names no classes", "[dog,cat]"]),
    "no classes": ("train", ["data.classes=[]"], ["data.classes=[] names no classes"]),
    "class of nothing": ("train", ["data.classes={a:[]}"], ["names no classes"]),
    "class twice": ("train", ["data.classes=[3,4,3]"], ["data.classes=[3, 4, 3] names '3' twice"]),
    "class merged twice": ("train", ["data.classes={low:[1,2],odd:[1]}"], ["names '1' twice"]),
    "what to do with broken files": ("train", ["data.on_error=ignore"], ["data.on_error=ignore", "raise or skip"]),
    "list to leave out": ("train", ["data.leave_out=none.txt"], ["data.leave_out=none.txt", "list of names"]),
    "doctor's preview": ("doctor", ["preview=-1"], ["preview=-1", "at least 0"]),
    "doctor's list": ("doctor", ["fix=maybe"], ["fix=maybe", "true nor false"]),
    "doctor's processes": ("doctor", ["workers=0"], ["workers=0", "at least 1"]),
    "key of doctor": ("doctor", ["previews=3"], ["did you mean preview?"]),
    "no data set": ("train", ["data=_base"], ["digits or image_folder"]),
    "no spread": ("train", ["normalize.std=[0,1,1]"], ["normalize.std", "above 0"]),
    "word for weights": ("train", ["head.loss.class_weights=blanced"], ["class_weights=blanced", "balanced or a list"]),
    "negative weights": ("train", ["head.loss.class_weights=[1,-1]"], ["class_weights=[1, -1]", "from 0 on"]),
    "weights of a class": ("train", ["task=multilabel", "head.loss.pos_weight=3"], ["pos_weight=3", "for each class"]),
    "rare classes raised twice": (
        "train",
        ["task=segmentation", "head.loss.class_weights=balanced"],
        ["head.loss.class_balance=0.75", "give head.loss.class_balance=0"],
    ),
    "average without a key": ("train", ["ema=0.999"], ["ema=0.999", "give ema.decay=0.999"]),
    "average that forgets nothing": ("train", ["ema.decay=1"], ["ema.decay=1 is no decay", "such as 0.999"]),
    "average of parts": (
        "train",
        ["ema.decay=0.9", "trainer=ddp", "trainer.strategy=fsdp"],
        ["ema.decay=0.9 averages whole weights", "ema.decay=null or trainer=ddp"],
    ),
    "rates that rise to the stem": ("train", ["layer_decay=1.5"], ["layer_decay=1.5 is no factor", "1 at most"]),
    "an end before the rate falls": (
        "train",
        ["scheduler=plateau", "callbacks=early_stopping", "scheduler.patience=10"],
        ["early_stopping.patience=10 ends the training before", "give callbacks.early_stopping.patience=20"],
    ),
    "class of an optimizer": ("train", ["optimizer=torch"], ["optimizer._target_ has no value"]),
    "precision that a CPU has not": ("train", ["trainer=cpu", "trainer.precision=16-mixed"], ["bf16-mixed"]),
    "no checkpoint": ("predict", ["source=<folder>"], ["checkpoint has no value", "checkpoint=..."]),
    "checkpoint that is not there": ("evaluate", ["checkpoint=none.ckpt"], ["checkpoint=none.ckpt is no file"]),
    "split": ("evaluate", ["checkpoint=<folder>/model.ckpt", "split=dev"], ["split=dev", "train, val or test"]),
    "device": ("evaluate", ["checkpoint=<folder>/model.ckpt", "device=gpu"], ["device=gpu", "cuda"]),
    "source": ("predict", ["checkpoint=<folder>/model.ckpt", "source=no.png"], ["source=no.png", "a folder of images"]),
    "format": ("export", ["checkpoint=<folder>/model.ckpt", "format=tflite"], ["onnx or torch"]),
    "key of export": ("export", ["checkpoint=<folder>/model.ckpt", "fromat=onnx"], ["did you mean format?"]),
    "key of predict": ("predict", ["checkpoint=<folder>/model.ckpt", "sorce=x"], ["did you mean source?"]),
    "moved data": ("export", ["checkpoint=<folder>/model.ckpt", "data.root=/nowhere"], ["data.root=/nowhere"]),
    # Constructors and whether the parts fit: the third layer.
    "mistyped argument": ("train", ["+optimizer.leraning_rate=1"], ["optimizer.leraning_rate", "it takes lr"]),
    "argument of a list": ("train", ["+trainer.limit_train_batchs=5"], ["did you mean trainer.limit_train_batches?"]),
    "nothing for a number": ("train", ["scheduler.final=null"], ["scheduler.final", "takes float"]),
    "head of another task": ("train", ["head=fcos"], ["head=fcos makes boxes", "choose head=linear"]),
    "head of another task by name": ("train", ["head=fcos", "task=segmentation"], ["head=unet"]),
    "head of one label": ("train", ["task=multilabel", "head=linear"], ["image labels", "choose head=multilabel"]),
    # Several heads, chosen by name.
    "head by name of a single task": (
        "train",
        ["head@heads.segmentation=unet"],
        ["a task has one head, head=unet", "task=multitask"],
    ),
    "head that is left out": ("train", ["head=none"], ["a single task needs its own"]),
    "no head at all": (
        "train",
        ["task=multitask", *(f"head@heads.{name}=none" for name in ("classification", "detection", "segmentation"))],
        ["every head is left out", "head@heads.classification="],
    ),
    "heads that contradict": (
        "train",
        [
            "task=multitask",
            "head=unet",
            "+head@heads.depth=unet",
            "heads.segmentation.neck=pan",
            "heads.detection.weight=0",
            "task.loss_weights=equal",
            "init.network=torchvision:fcn_resnet50",
        ],
        [
            "such as head@heads.segmentation=",
            "+task@tasks.depth=",
            "give one of fpn, null",
            "weight=0 is no weight of a loss; give a number above 0",
            "give fixed or learned",
            "init.backbone=imagenet",
        ],
    ),
    "weights given and learned": (
        "train",
        ["task=multitask", "task.loss_weights=learned", "heads.detection.weight=2"],
        ["begin at 1"],
    ),
    "head of another kind, monitor of none": (
        "train",
        ["task=multitask", "head@heads.detection=unet", "task.monitor=mIoU"],
        ["choose head@heads.detection=fcos", "choose one of combined", "segmentation/mIoU"],
    ),
    "settings of heads": (
        "train",
        ["task=multitask", "heads.classification.auxiliary=-1", "heads.detection.neck=null"],
        ["error: heads.classification.auxiliary=-1;", "choose heads.detection.neck=fpn"],
    ),
    "threshold": ("train", ["task=multilabel", "task.threshold=50"], ["task.threshold=50", "0 to 1"]),
    "neck that is needed": ("train", ["task=detection", "neck=none"], ["choose neck=fpn"]),
    "dropout": ("train", ["head.dropout=2"], ["head: ", "between 0 and 1"]),
    "stages": ("train", ["backbone.stages=5"], ["backbone: ", "stages=5 is no list"]),
    "warm-up": ("train", ["scheduler.warmup=7"], ["scheduler: ", "0 <= warmup < 1"]),
    "optimizer that cannot": (
        "train",
        ["optimizer=torch", "optimizer._target_=torch.optim.LBFGS"],
        ["optimizer._target_=torch.optim.LBFGS cannot train", "choose another, such as torch.optim.RMSprop"],
    ),
    "rate that never falls": ("train", ["scheduler=plateau", "scheduler.factor=1"], ["scheduler: factor=1", "< 1"]),
    "kind of clipping": ("train", ["trainer.gradient_clip_algorithm=sum"], ["trainer: ", "sum"]),
    "accelerator": ("train", ["trainer.accelerator=abacus"], ["trainer: ", "abacus"]),
    "precision": ("train", ["trainer.precision=8"], ["trainer.precision=8", "32, bf16-mixed or 16-mixed"]),
    "compiled and computed again": ("train", ["compile=true", "activation_checkpointing=true"], ["give one of them"]),
    "no switch": ("train", ["compile=maybe"], ["compile=maybe", "true nor false"]),
    "processes": ("train", ["trainer.devices=0"], ["trainer.devices=0"]),
    "more processes than images": (
        "train", ["trainer=ddp", "trainer.accelerator=cpu", "trainer.devices=2", "data.batch_size=1"],
        ["data.batch_size=1", "all 2 processes"],
    ),
    "weights that never learn": (
        "train", ["trainer=ddp", "trainer.accelerator=cpu", "trainer.devices=2", "neck=fpn"],
        ["necks.neck.smooth", "neck=none"],
    ),
    "statistics on a CPU": ("train", ["trainer=cpu", "+trainer.sync_batchnorm=true"], ["need GPUs", "norm=group"]),
    "processes of machines": ("train", ["trainer=multi_node"], ["trainer.devices=auto", "their number"]),
    "machines": ("train", ["trainer=ddp", "trainer.num_nodes=0", "trainer.devices=2"], ["trainer.num_nodes=0"]),
    "processes of a cluster": ("train", ["trainer=ddp", "cluster=slurm"], ["trainer.devices=auto", "their number"]),
    "warning of a cluster": ("train", ["cluster=slurm", "cluster.warning=25h"], ["cluster.warning=25h", "time=24h"]),
    "shared out, and scaled": ("train", ["trainer=fsdp", "trainer.precision=16-mixed"], ["trainer=fsdp", "bf16-mixed"]),
    "shared out, single numbers": (
        "train", ["task=multitask", "task.loss_weights=learned", "trainer=fsdp"], ["loss_weights=learned", "give fixed"]
    ),
    "processes in words": ("train", ["trainer.devices=many"], ["trainer.devices=many is no number of processes"]),
    "digits": ("train", ["data.digits_per_scene=[3,1]"], ["data.digits_per_scene=[3, 1]"]),
    "middle of images for boxes": ("train", ["task=detection", "data.resize=crop"], ["data.resize=fit"]),
    "middle of images for masks": ("train", ["task=segmentation", "data.resize=crop"], ["data.resize=fit"]),
    "crop of one number": ("train", ["augment.crop=0.5"], ["augment.crop=0.5", "scale: [0.3, 1.0]"]),
    "crop without its aspect": ("train", ["augment.crop={scale:[0.3,1]}"], ["augment.crop=", "ratio: "]),
    "crop of nothing": ("train", ["augment=medium", "augment.crop.scale=[0,1]"], ["crop.scale=[0, 1]", "above 0"]),
    "sizes in the wrong order": ("train", ["augment.multi_scale=[2,1]"], ["multi_scale=[2, 1]", "[smallest, largest]"]),
    "sizes that a head does not take": (
        "train",
        ["head=vgg", "neck=none", "data.size=32", "augment.multi_scale=[1,2]"],
        ["augment.multi_scale: ", "64"],
    ),
    "mosaic": ("train", ["augment.mosaic=-1"], ["augment.mosaic=-1", "0 to 1"]),
    "more than all images mixed": ("train", ["augment.mixup=0.6", "augment.cutmix=0.6"], ["1.2 together"]),
    "weights' name": ("train", ["init.backbone=imagnet"], ["did you mean init.backbone=imagenet?"]),
    "weights of a small network": ("train", ["init.backbone=imagenet"], ["backbone=resnet18"]),
    "weights without their key": ("train", ["init=imagenet"], ["init.backbone=imagenet"]),
    "weights' entry": ("train", ["backbone=resnet50", "init.backbone=IMAGENET1K_V3"], ["=IMAGENET1K_V2?", "imagenet"]),
    "network's weights": ("train", ["init.network=torchvision:fcos_resnet50_fpm"], ["torchvision:fcos_resnet50_fpn?"]),
    "weights that are not there": ("train", ["init.backbone=<folder>/no, (1).pth"], ["no, (1).pth is no file"]),
    "weights in a folder": ("train", ["init.backbone=<folder>/empty"], ["empty is a folder", ".safetensors"]),
    "weights in a text": ("train", ["init.backbone=<folder>/weights.pth"], ["weights.pth is no file of weights"]),
    "weights cut off": ("train", ["init.backbone=<folder>/cut.pth"], ["cut.pth", "only a part of one"]),
    "weights with code": ("train", ["init.backbone=<folder>/code.pth"], ["code.pth holds more than", "not opened"]),
    "weights of another": ("train", ["init.backbone=<folder>/other.pth"], ["other.pth holds nothing of this"]),
    "neither strict nor not": ("train", ["init.strict=maybe"], ["init.strict"]),
    "both weights": (
        "train",
        ["init.backbone=<folder>/other.pth", "init.network=torchvision:fcn_resnet50"],
        ["contradict each other"],
    ),
    "frozen stages": ("train", ["freeze.stages=9"], ["freeze.stages=9", "give 0 to"]),
    "no frozen stages": ("train", ["freeze.stages=-1"], ["freeze.stages=-1", "all"]),
    "frozen stages in words": ("train", ["freeze.stages=most"], ["freeze.stages=most", "all"]),
    "frozen without stages": ("train", ["freeze.until_epoch=3"], ["freeze.until_epoch=3", "freeze.stages=all"]),
    "epochs for other stages": (
        "train",
        ["freeze.until_epoch=[2,4]", "freeze.stages=1"],
        ["freeze.until_epoch=[2, 4] needs an epoch for each", "1 in all"],
    ),
    "frozen without a key": ("train", ["freeze=all"], ["freeze.stages=all"]),
    "another name": ("train", ["backbone=resnet18", "backbone.name=resnet50"], ["level 1 says 64", "own option"]),
    "channels that the data have not": ("train", ["backbone.in_channels=1"], ["backbone.in_channels=1", "3 channels"]),
    "sampler without classes": (
        "train",
        ["task=segmentation", "data.sampler=balanced"],
        ["data.sampler=balanced has to know", "choose data.sampler=shuffle"],
    ),
    "channels that the backbone has not": ("train", ["data.channels=[0,1]"], ["give backbone.in_channels=2"]),
    "no channels": ("train", ["data.channels=[]"], ["data.channels=[] is no list of channels"]),
    "one channel": ("train", ["data.channels=1"], ["data.channels=1", "such as [0]"]),
    "window upside down": ("train", ["data.window=[9,3]"], ["[9, 3] is upside down", "low < high"]),
    "window of one": ("train", ["data.window=4095"], ["data.window=4095", "[low, high]"]),
    "windows and channels": ("train", ["data.window=[[0,1],[0,2]]"], ["2 pairs", "3 channels"]),
    "figures of other channels": (
        "train",
        ["normalize.mean=[0,0]", "normalize.std=[1,1]"],
        ["3 numbers each", "type normalize.mean=[0.45,0.45,0.45]"],
    ),
    "colours of five channels": (
        "train",
        ["augment=medium", "data.channels=[0,0,1,1,2]", "backbone.in_channels=5"],
        ["augment.pixel.ColorJitter: cannot change images of 5 channels", "leave it out"],
    ),
    "argument of a part": (
        "train",
        ["data=joined", "data.parts={ants:{_target_:visionkit.data.formats.image_folder.ImageFolder,rot:x}}"],
        ["data.parts.ants.rot=x", "did you mean data.parts.ants.root?"],
    ),
    # Files.
    "task of other data": (
        "train",
        ["task=detection", "data=sklearn_digits"],
        ["task=detection needs boxes, but data=sklearn_digits has image labels: it serves task=classification"],
    ),
    "task of a folder a class": (
        "train",
        ["task=segmentation", "data=image_folder", "data.root=<folder>/sorted"],
        ["task=segmentation needs masks, but data=image_folder has image labels: it serves task=classification"],
    ),
    "fold of given splits": ("train", [*SIZE, "data.fold=1/5"], ["train, val, test", "add data.split=auto"]),
    "groups of given splits": ("train", [*SIZE, "data.group=_"], ["data.group=_ is for data", "data.split=auto"]),
    "groups that are not in the names": (
        "train",
        [*SIZE, "data.split=auto", r"data.group=train_(\d)"],
        [r"data.group=train_(\d) is not found in 8 of 48 image names, such as val_0", "|.*"],
    ),
    "too few groups": (
        "train",
        [*SIZE, "data.split=auto", "data.group=^[a-z]+", "data.fold=1/3"],
        ["2 groups cannot be cut into 3 folds", "data.fold=1/2"],
    ),
    "class that is not there": ("train", [*SIZE, "data.classes=[3,10]"], ["no class '10'", "0, 1, 2"]),
    "class with a slip": (
        "train",
        [*SIZE, "task=segmentation", "data.classes=[backgrond]"],
        ["did you mean 'background'?", "background, 0, 1"],
    ),
    "background of fewer classes": (
        "train",
        [*SIZE, "task=segmentation", "data.classes=[3,4]", "data.background=2"],
        ["data.background=2", "give 0 to 1 or null"],
    ),
    "too few weights": ("train", [*SIZE, "head.loss.class_weights=[1,2]"], ["2 numbers", "10 classes", "0, 1, 2"]),
    "one label for several": (
        "train",
        ["task=multilabel", "data=sklearn_digits"],
        ["needs sets of labels, but data=sklearn_digits has image labels: it serves task=classification"],
    ),
    "no images": ("train", ["data=image_folder", "data.root=<folder>/empty"], ["empty"]),
    "no table": ("train", ["data=csv", "data.root=<folder>/empty"], ["holds no .csv file", "labels.csv"]),
    "no labels in text": ("train", ["task=detection", "data=yolo", "data.root=<folder>/empty"], ["has no data.yaml"]),
    "no objects": ("train", ["task=detection", "data=instances", "data.root=<folder>/empty"], ["no instance masks"]),
    "classes of instances": (
        "train",
        ["task=detection", "data=instances", "data.root=<folder>/empty", "data.class_names=[a,b]"],
        ["data.class_names=['a', 'b']", "one class"],
    ),
    "lists": ("train", ["data=voc", "data.root=<folder>", "data.image_set=main"], ["data.image_set=main", "Main"]),
    "colour": (
        "train",
        ["data=mask_folder", "data.root=<folder>/empty", "data.colours={sky:[1,2]}"],
        ["data.colours.sky=[1, 2] is no colour", "[128,0,0]"],
    ),
    "no COCO": ("train", ["data=coco", "task=detection", "data.root=<folder>/empty"], ["_annotations.coco.json"]),
    "not a checkpoint": ("evaluate", ["checkpoint=<folder>/notes.txt"], ["notes.txt cannot be read as a checkpoint"]),
    "another's checkpoint": ("evaluate", ["checkpoint=<folder>/model.ckpt"], ["was not written by visionkit"]),
    "not an image": ("predict", ["checkpoint=<folder>/model.ckpt", "source=<folder>/empty"], ["holds no image"]),
    "run folder in use": ("train", [*SIZE, "epochs=1", "run_dir=<folder>/run"], ["already holds a run"]),
    "run folder that is a file": ("train", [*SIZE, "epochs=1", "run_dir=<folder>/notes.txt"], ["choose a folder"]),
}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A person's folder, with a name of its own."""
    made = tmp_path_factory.mktemp("a folder, (mine)")
    (made / "empty").mkdir()
    (made / "run").mkdir()
    for name in ("ant", "bee"):
        (made / "sorted" / name).mkdir(parents=True)
        for number in range(2):
            (made / "sorted" / name / f"{number}.png").touch()
    (made / "run" / "config.yaml").write_text("name: x\n")
    (made / "notes.txt").write_text("nothing\n")
    torch.save({"state_dict": {}}, made / "model.ckpt")
    (made / "weights.pth").write_text("nothing\n")
    torch.save({"a.weight": torch.zeros(9)}, made / "other.pth")
    (made / "cut.pth").write_bytes((made / "other.pth").read_bytes()[:300])
    torch.save({"a.weight": torch.zeros(9), "path": made}, made / "code.pth")
    (made / "grey.png").write_bytes(cv2.imencode(".png", np.zeros((9, 9), np.uint8))[1].tobytes())
    return made


def said(
    command: str, arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], cwd: Path
) -> str:
    """Run a command that has to refuse; return what it says."""
    monkeypatch.chdir(cwd)
    monkeypatch.setattr(sys, "argv", [command, *arguments])
    with pytest.raises(SystemExit) as ended:
        importlib.import_module(f"visionkit.{command}").cli()
    assert ended.value.code == 2
    return capsys.readouterr().err


@pytest.mark.parametrize("name", list(WRONG))
def test_wrong_input_is_answered_plainly(
    name: str, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    command, arguments, expected = WRONG[name]
    given = [argument.replace("<folder>", str(folder)) for argument in arguments]
    answer = said(command, given, monkeypatch, capsys, tmp_path)
    for part in expected:
        assert part in answer
    assert answer.startswith("error: ")
    assert "Traceback" not in answer
    assert "hydra.cc" not in answer
    assert not list(tmp_path.rglob("*")), "something was left behind"


def test_all_problems_come_in_one_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["optimizer=adam", "taks=1", "optimizer.lr=x", "budget=5", "data.mirror=2", "+head.wide=1"]
    answer = said("train", arguments, monkeypatch, capsys, tmp_path)
    for key in ("optimizer=adam:", "taks=1:", "optimizer.lr=x:", "budget=5", "data.mirror=2", "head.wide=1:"):
        assert answer.count(f"error: {key}") == 1, answer


def test_a_sweep_is_refused_before_its_first_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["-m", *SIZE, "head.dropout=0.1,7", "epochs=1", "run_dir=swept"]
    answer = said("train", arguments, monkeypatch, capsys, tmp_path)
    assert answer.startswith("error: trial 1: head: dropout")
    assert not list(tmp_path.rglob("result.json"))


def test_a_failure_of_ours_keeps_its_traceback_and_names_the_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("planted")

    monkeypatch.setattr("visionkit.engine.pictures.augmented_batch", broken)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["train", *SIZE, "epochs=1", "run_dir=run"])
    with pytest.raises(SystemExit) as ended:
        importlib.import_module("visionkit.train").cli()
    assert ended.value.code == 1
    for shown in (capsys.readouterr().out, (tmp_path / "run" / "train.log").read_text()):
        assert "Traceback" in shown
        assert "ZeroDivisionError: planted" in shown
        assert str(tmp_path / "run" / "train.log") in shown
