//! The table of diagnostic codes: one row each, the source of `speculators explain` and of `docs/errors.md`.
//!
//! Families: S0xx command and run configuration · S1xx files · S2xx tensors · S3xx vocabulary maps ·
//! S4xx head against verifier and serving configuration · S5xx serving with a runtime, and the Hub · S6xx device · S7xx data.

use std::fmt::Write;
use std::str::FromStr;

use serde::{Serialize, Serializer};

/// A stable diagnostic code such as `S202`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Code(pub u16);

impl std::fmt::Display for Code {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "S{:03}", self.0)
    }
}

impl FromStr for Code {
    type Err = UnknownCode;

    /// Takes a code as people type it: `S202`, `s202` or `202`.
    fn from_str(text: &str) -> Result<Code, UnknownCode> {
        let digits = text.strip_prefix(['S', 's']).unwrap_or(text);
        let code = digits
            .parse()
            .map(Code)
            .map_err(|_| UnknownCode(text.into()))?;
        explain(code)
            .map(|known| known.code)
            .ok_or_else(|| UnknownCode(text.into()))
    }
}

/// There is no such code.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a diagnostic code")]
pub struct UnknownCode(pub String);

impl Serialize for Code {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// What `speculators explain` says about a code.
pub struct Explanation {
    /// The code.
    pub code: Code,
    /// A short name in plain words.
    pub title: &'static str,
    /// What it means, why it matters, and what to do.
    pub text: &'static str,
}

macro_rules! codes {
    ($($name:ident = $number:literal, $title:literal, $text:literal;)*) => {
        $(#[doc = $title] pub const $name: Code = Code($number);)*
        /// Every code, in order.
        pub const ALL: &[Explanation] = &[$(Explanation { code: $name, title: $title, text: $text }),*];
    };
}

codes! {
    USAGE = 1, "an option has a value it cannot have",
        "An option was given a value that no checkpoint could make sense of, such as a list of layers that is not a \
         list of numbers, or two options that exclude each other; or, under `--strict`, an option that says nothing about \
         this kind of head.\n\n\
         Nothing was read or written. `--help` of the command lists what each option takes.";
    OPTION_ELSEWHERE = 21, "an option belongs to another kind of head",
        "Heads of different kinds have different parts, and each part has its options: norms before `fc` belong to EAGLE-3 \
         and P-EAGLE, blocks to the DFlash family, the Markov bias and the confidence head to DSpark. An option for a part \
         that this kind does not have could only be ignored, and ignored options are how a head comes out other than it \
         was meant.\n\n\
         Leave the option out, or pass the `--algorithm` it belongs to. The finding lists the kinds that take it.";
    CONFIGURATION_MALFORMED = 31, "a configuration file is not the YAML that is read",
        "The file that `--config` names could not be parsed, or it holds something other than options: it has to be one \
         mapping of option names to values. Anchors, tags and several documents in a file are not taken.\n\n\
         The place given is where the parser had to stop; the mistake is there or just before it. A tab at the start of a line, \
         a colon without a space behind it, and a value that begins with `*`, `&`, `!`, `%`, `@` or a backtick without quotes \
         around it are the usual reasons.";
    CONFIGURATION_KEY = 32, "a configuration file sets an option that there is not",
        "A key of the file that `--config` names is no option of the command. The keys are the long names of the options, as \
         `--help` lists them, with `-` or `_` between words. A file for several commands has a section for each, a mapping under \
         the name of the command; what stands outside of sections is for every command that reads the file, and each of them \
         has to know it.\n\n\
         What a command is given without the name of an option, such as a path, stays on the command line.";
    CONFIGURATION_VALUE = 33, "a configuration file gives an option a value it cannot have",
        "A value in the file that `--config` names is not one that the option takes on the command line. A flag is `true` or \
         `false` (`yes` and `on` are texts in YAML 1.2), an option that may be repeated takes a list, and every other option takes one \
         value.\n\n\
         Write it as it would stand on the command line. A key without a value is none of these: leave it out.";
    CONFIGURATION_CONFLICT = 34, "two settings of a configuration file exclude each other",
        "The file that `--config` names gives an option twice, once with `-` and once with `_` perhaps, or gives two options that \
         cannot be used together on the command line either. The finding names both lines.\n\n\
         Take one of them out. An option on the command line, and one in the section of the command, put aside what they exclude.";
    FILE_MISSING = 101, "a file or directory is missing or cannot be read",
        "A path that was given, or a file that a checkpoint cannot do without, is not there, is of the wrong kind, or \
         may not be opened by this user. A head needs `config.json` and either `model.safetensors` or \
         `model.safetensors.index.json` with the files the index names; without either of them, `pytorch_model.bin`.\n\n\
         Check the path for a typing error, and check that the download or copy has finished. A name such as \
         `owner/name` is a repository of the Hub, unless a directory `owner` lies here: then it is a path, and the \
         repository is `hf://owner/name`.";
    FILE_TRUNCATED = 102, "a tensor file ends before its last tensor does",
        "The header of a tensor file says where each tensor lies, and the file is shorter than the last of them \
         needs. The tensors near the end are cut off or missing; a loader that does not check this reads whatever \
         follows in memory, or crashes.\n\n\
         The cause is nearly always an interrupted download, a full disk, or a copy that was made while the file was \
         still being written. The missing values cannot be recovered: get the file again from its source.";
    HEADER_MALFORMED = 103, "the header of a safetensors file is malformed",
        "A safetensors file begins with the length of its header and a JSON object that gives each tensor its dtype, \
         shape and byte range. The header of this file breaks one of the rules: it is longer than the file, is not \
         JSON, names a tensor or a key twice, names a dtype that does not exist, or places tensors so that they overlap, leave gaps, or do not have \
         the size their shape implies.\n\n\
         Nothing in such a file can be trusted, because a wrong byte range shows the bytes of one tensor as those of \
         another. Get the file again, or write it again with the `safetensors` library. A file of a few hundred bytes \
         that begins with `version https://git-lfs` is not a tensor file at all but a Git LFS pointer: run `git lfs \
         pull`.";
    JSON_MALFORMED = 104, "a file is not valid JSON",
        "A config or an index could not be parsed. The place given is where the parser had to stop; the mistake is \
         there or just before it. A trailing comma, a comment, a single quote, `NaN`, `True` and a byte order mark are \
         common, and none of them is JSON. Neither is an object that names a key twice taken, because programs differ in \
         which of the two values they use, nor a file that is far longer than any config.\n\n\
         Correct the file by hand, or fetch it again if it begins with `<` or `version https://git-lfs`: then it is \
         an error page or a Git LFS pointer.";
    CONFIG_TYPE = 105, "a config key has a value of the wrong type",
        "A key holds text where a number belongs, a fraction where a whole number belongs, a single value where a \
         list belongs, and so on. Python programs often let this pass and convert or fail later; here it is reported \
         where it is written.\n\n\
         Change the value at the line given. A number in quotes is the usual reason.";
    CONFIG_KEY_MISSING = 106, "a config lacks a key that nothing can stand in for",
        "Some facts about a model cannot be read off its tensors, such as the number of attention heads. Where a key \
         has a default that every program agrees on, the default is taken; this one has none.\n\n\
         Add the key with the value the head was trained with. For a head, most values are those of its verifier.";
    INDEX_MALFORMED = 107, "an index and its shards disagree",
        "`model.safetensors.index.json` or `pytorch_model.bin.index.json` says which file each tensor is in. It names a \
         file that is not there, or a tensor that the named file does not hold, or a path that leads out of the \
         directory; or a file holds a tensor that the index does not list or places in another file.\n\n\
         If a shard is missing, fetch it. If the files are complete, the index belongs to another save of the same \
         model: remove stale shards and write the index again.";
    OUTPUT_EXISTS = 108, "the output exists already",
        "The directory or file to be written is there already and was left as it is.\n\n\
         Choose another output, or pass `--force` to replace it. The source of a conversion is never replaced, even \
         then.";
    OUTPUT_UNWRITABLE = 109, "the output cannot be written",
        "The output could not be created, filled or moved into place: the parent directory does not exist, permission \
         is missing, or the disk is full. Output is written under a temporary name and renamed at the end, so a \
         half-written checkpoint is not left behind under the final name.\n\n\
         The note says what the operating system answered.";
    LAYOUT_UNKNOWN = 110, "the checkpoint is in no layout this version reads",
        "A head is recognized by the names and shapes of its tensors first and by its config second. Heads of EAGLE-1 to \
         3, P-EAGLE, the block drafters and MTP layers are read, each in the layouts of the programs that write it. This \
         directory is none of them: a head of another kind (Medusa, EAGLE-4, latent attention), a quantized one, a \
         complete language model, or something else. Where it is recognized as one of these, the finding says what \
         using it would take.\n\n\
         Check that the directory is the head and not its verifier. `speculators inspect` lists the tensors that were \
         found.";
    WEIGHTS_NAME = 111, "the weights are not under a name that is looked for",
        "Weights are looked for under the names that loaders agree on: `model.safetensors`, \
         `model.safetensors.index.json`, `pytorch_model.bin`, `pytorch_model.bin.index.json`, `model.pt`, \
         `pytorch_model.pt` and `draft_model.pt`, in this order. None of them is here, but there is a file that may hold \
         weights under another name. Some programs take whatever is there, others report that there is nothing; which \
         file was meant is not guessed.\n\n\
         Rename the file, or put a link with the expected name beside it.";
    PICKLE_FORBIDDEN = 112, "a pickle names code that is not allowed",
        "A PyTorch file holds a pickle, and a pickle can call any function of Python by naming it. To rebuild tensors \
         only a handful of names are needed; this pickle uses another one, at the byte the note gives. It was not run: \
         the reader has no way to call anything.\n\n\
         Names like `os.system` or `builtins.eval` mean that the file was made to attack whoever loads it: delete it. \
         Names from a training program, such as `argparse.Namespace`, mean that more than weights was saved: where \
         the file came from, save the state dict alone, or better, write safetensors.";
    PICKLE_MALFORMED = 113, "a PyTorch file is malformed or of a kind that is not read",
        "A PyTorch file is a zip archive with a pickle `data.pkl`, which says what the tensors are, and one entry of \
         bytes for each storage. In this file the pickle breaks off or breaks the rules, asks for more than a file of \
         weights needs, or describes a tensor that does not fit the entry it lies in; or the archive is compressed or \
         encrypted, has entries that overlap, share a name or lie outside its folder, is big-endian, from before PyTorch \
         1.6, or none at all.\n\n\
         A damaged file has to be fetched again. One that PyTorch itself can still load with `weights_only=True` can \
         be saved again with a current version, and is then in the format that is read here.";
    GGUF_MALFORMED = 114, "a GGUF file is malformed",
        "A GGUF file begins with the letters `GGUF`, a version, two counts, metadata values and descriptions of its \
         tensors; the data follow. This file breaks one of the rules: a length or a count leads beyond its end, a type \
         does not exist, a name is there twice, or tensors overlap, leave gaps or are not aligned.\n\n\
         Nothing in such a file can be trusted. Get it again, or write it again with the program it came from. A file \
         that begins with `version https://git-lfs` is not a model but a Git LFS pointer: run `git lfs pull`.";
    GGUF_UNSUPPORTED = 115, "a GGUF file is of a kind that is not read",
        "The file is sound as far as it was read, but it is quantized, in big-endian byte order, one of several parts, \
         or of a version of the format that is not read.\n\n\
         Quantized numbers cannot be taken back to what they were: start from the file, or the checkpoint, that was \
         quantized. Parts are joined by `llama-gguf-split --merge`.";
    TENSOR_MISSING = 201, "a tensor the head needs is missing",
        "The config describes a head with a tensor that the files do not hold. Most loaders fill a missing tensor \
         with random numbers or ones and go on; the head then loads, and the verifier rejects nearly everything it \
         drafts.\n\n\
         If a tensor of the same shape is there under another name, the checkpoint is in another layout or carries a \
         prefix: see S202. If it is not, the save or the conversion that made the checkpoint lost it, and it has to \
         be made again from its source.";
    TENSOR_UNEXPECTED = 202, "a tensor belongs to no part of the head",
        "The files hold a tensor that the head described by the config has no place for. Most loaders skip it without \
         a word. It may be a spare copy, but it may also be a layer, a norm or a bias that the head was trained with, \
         and then leaving it out gives wrong tokens.\n\n\
         Find out which: a second layer means `num_hidden_layers` is too small, a `.bias` means that a bias flag is \
         missing from the config, `input_norm.weight` or `fc_norm.*` mean that `norm_before_fc` or `fc_norm` is not \
         set. If the tensor is in fact a leftover, remove it from the file.";
    TENSOR_SHAPE = 203, "a tensor has another shape than the config asks for",
        "The shape of each tensor follows from the config: `q_proj`, for example, has `num_attention_heads * \
         head_dim` rows and twice `hidden_size` columns in the first layer, because it reads the token embedding and \
         the hidden state side by side. A tensor of this checkpoint does not have the shape that follows.\n\n\
         One of the two is wrong, and usually it is the config: compare the factors in the note with the config of \
         the verifier. `head_dim` is often absent although it is not `hidden_size / num_attention_heads`.";
    TENSOR_DTYPE = 204, "a tensor has a dtype that is not supported there",
        "Weights are read as float32, float16 or bfloat16, `d2t` as whole numbers and `t2d` as booleans. A tensor has \
         another dtype. Eight-bit and packed weights come from quantized exports, which store scales beside them and \
         cannot be read as plain numbers.\n\n\
         Start from the checkpoint before quantization.";
    TENSOR_NON_FINITE = 205, "a tensor holds NaN or infinite values",
        "A single NaN in a matrix turns every hidden state that passes through it into NaN, and the draft then \
         proposes an arbitrary token at each step. Infinite values appear when bfloat16 weights outside the range of \
         float16 were converted to it. A tensor of NaN only was never filled in at all.\n\n\
         Go back to the last sound checkpoint of the training run, or convert again without changing the dtype.";
    NORM_UNTRAINED = 206, "a norm weight was never trained",
        "A norm weight is set to one throughout when a model is created, and training moves it. Exact ones throughout \
         mean that the weight was never trained, or that it was missing from a checkpoint and filled in by a loader \
         that did not say so. If all norms of the head are ones, the head is freshly initialized, or only its norms \
         were kept frozen.\n\n\
         A head that was just created is expected to look like this and accepts almost nothing. For a trained one, \
         compare with the checkpoint it was converted from. Training with bfloat16 master weights can also be the \
         reason: steps smaller than half of 2^-8 vanish when they are added to one.";
    TENSOR_ALL_ZERO = 207, "a weight matrix is zero throughout",
        "A matrix of zeros passes nothing on: whatever depends on it is cut off from its input. It is what remains of \
         a tensor that was allocated but never loaded.\n\n\
         Compare with the checkpoint this one was made from. For `fc.weight`, `lm_head.weight` and the projections \
         there is no legitimate reason; a zero bias is ordinary and is not reported.";
    LM_HEAD_UNTOUCHED = 208, "`lm_head` is a copy of the verifier's",
        "Each row of `lm_head.weight` equals, bit for bit, the verifier's row for the same token. This is how a head \
         begins. The trainer of the Python package `speculators` and others keep the matrix as it is, and then it is \
         right; if `lm_head` was meant to be trained, it was not.\n\n\
         Nothing has to be done. Look at the other findings to tell a fresh head from a trained one.";
    LAYER_UNTOUCHED = 209, "the head is the verifier's own MTP layer",
        "Each tensor of the head equals, bit for bit, the one of the same name in the verifier. This is what a conversion \
         gives, before any training: the head drafts as the verifier's own layer does.\n\n\
         Nothing has to be done. If the head was meant to be trained, it was not, or the wrong checkpoint was passed.";
    MAP_LENGTH = 301, "a vocabulary map has another length than the vocabulary it maps",
        "`d2t` has one entry for each draft token, that is, for each row of `lm_head.weight`, and `t2d` one for each \
         verifier token. Here the lengths differ, so that either tokens at the end have no entry or entries belong to \
         no token.\n\n\
         The map and the weights come from different runs, or `draft_vocab_size` or `vocab_size` was edited. Take all \
         three from one checkpoint.";
    MAP_RANGE = 302, "`d2t` leads outside the verifier vocabulary",
        "`d2t` holds offsets: draft token `d` stands for verifier token `d + d2t[d]`. For some draft tokens this sum \
         is negative or not below `vocab_size`. When the head proposes such a token, the verifier is asked about an \
         id it does not have; runtimes crash, or read outside their tables.\n\n\
         The map was built for another tokenizer or another size of vocabulary. It has to come from the same training \
         run as `lm_head.weight`, since the order of its entries is the order of those rows.";
    MAP_DUPLICATE = 303, "two draft tokens map to one verifier token",
        "Each verifier token has at most one row in a reduced vocabulary. With two, the probability of the token is \
         split between them, and the token that one of them should have stood for can never be proposed.\n\n\
         The map is damaged: take it from the checkpoint the head was trained with.";
    MAP_NEVER_LOADED = 304, "the vocabulary map was never filled in",
        "`d2t` is zero throughout, or `t2d` is true throughout, although the draft vocabulary is smaller than the \
         verifier's. This is how a trainer creates the two before it reads the real map, and some save them in that \
         state. Draft token `d` then stands for verifier token `d`, which is not what the rows of `lm_head.weight` \
         were trained for: nearly every proposal is a different token from the one meant.\n\n\
         Find the map the trainer used, often a separate file beside the training data, and put it in the checkpoint.";
    MAP_ABSOLUTE = 305, "`d2t` holds absolute token ids instead of offsets",
        "`d2t` is defined as an offset to be added to the draft id. This one holds verifier ids themselves, as GGUF \
         files and some hand-made maps do. Read as offsets, they lead to other tokens and out of the vocabulary.\n\n\
         Subtract the index from each entry: `d2t - arange(len(d2t))`. The order of the entries stays as it is.";
    MAP_DISAGREE = 306, "`d2t` and `t2d` describe different vocabularies",
        "`t2d` marks the verifier tokens that are in the draft vocabulary, `d2t` lists them. The two should name the \
         same tokens. vLLM uses `d2t` only, trainers use `t2d` to pick the rows to train on, so that a head may be \
         trained for one set and served with the other.\n\n\
         Decide which of the two belongs to `lm_head.weight`. If it is `d2t`, rebuild the other: false everywhere, \
         true at each `d + d2t[d]`.";
    MAP_MISSING = 307, "a reduced vocabulary has no map",
        "`lm_head.weight` has fewer rows than the verifier has tokens, but no `d2t` says which tokens the rows stand \
         for. Without it, draft token `d` is taken for verifier token `d`.\n\n\
         If `t2d` is there, `d2t` can be rebuilt, provided that the rows are in ascending order of verifier tokens: \
         the `d`-th true position minus `d`. Otherwise the map has to come from the training run.";
    MAP_UNSORTED = 308, "`d2t` is not in ascending order of verifier tokens",
        "Serving does not depend on the order. Training does: the trainers pick the verifier's logits with `t2d`, \
         which yields them in ascending order, and compare them with the rows of `lm_head` position by position. A \
         head with another order, trained further, learns the wrong tokens.\n\n\
         Nothing has to be done for serving. Before training on, sort the rows of `lm_head.weight` and the entries of \
         the map together.";
    NUMPY_MALFORMED = 311, "a NumPy file is malformed or of a kind that is not read",
        "Maps and counts are kept in NumPy files, `*.npy`: a short header that gives dtype and shape, then the elements. The \
         header of this file breaks the rules, or it holds other elements than whole numbers of 4 or 8 bytes or booleans, in \
         little-endian order, or more bytes than its shape takes.\n\n\
         Write the array again, for example with `numpy.save(path, array.astype(numpy.int64))`. An array of objects is a pickle in \
         disguise and is not read.";
    COUNTS_MALFORMED = 312, "token counts are malformed",
        "A file of token counts gives how often each token occurs: a list with a whole number for each token of the \
         vocabulary, or a table from token ids to whole numbers. This one has something else for a token or for a count: a \
         fraction, a negative number, a number beyond 63 bits, text, or one token twice.\n\n\
         Count again with `speculators vocab`, or correct the program that wrote the file.";
    COUNTS_RANGE = 313, "token counts or a map are not those of this vocabulary",
        "A token is counted that the vocabulary does not have, a list of counts is longer or shorter than the vocabulary, or \
         nothing says how large the vocabulary is. Counts by another tokenizer give a map that leaves out the tokens this \
         verifier uses most.\n\n\
         The size is `vocab_size` in the verifier's `config.json`, padding included. If the counts are those of another \
         tokenizer, count again.";
    DRAFT_SIZE = 314, "a draft vocabulary of this size cannot be made",
        "The draft vocabulary has to have at least one token and at most as many as the verifier, and room for every token that \
         is included by force.\n\n\
         Choose another size. Heads are commonly given 8192 to 64000 draft tokens.";
    FORCED_TOKEN = 315, "a token that is to be included does not exist",
        "A token was named to be included in the draft vocabulary whatever its count, and the verifier's vocabulary does not \
         have it; or what was given is neither a token id nor a group of tokens that is known.\n\n\
         Correct the id, or leave the token out.";
    MAP_FILES = 316, "there is no one vocabulary map where one is looked for",
        "A map is looked for in `d2t.npy` and `t2d.npy`, in the same names with the number of draft tokens, as in \
         `d2t-32000.npy`, and in safetensors files with the tensors `d2t` and `t2d`. None of them is there, or several are that \
         say different things. The map decides which token each row of `lm_head` stands for, so none is chosen for you.\n\n\
         Say how many draft tokens the map has, or pass a directory with one map.";
    MAP_PADDED = 317, "the draft vocabulary holds tokens that were never seen",
        "Fewer different tokens were counted than the draft vocabulary has room for, and it was filled up with the tokens of the \
         lowest ids, as the Python package does. Rows for them cost time at every draft step and nobody knows whether the tokens \
         are ever needed.\n\n\
         Count more text, or choose a smaller draft vocabulary.";
    COUNTS_EMPTY = 318, "nothing was counted",
        "Not one token was counted: the data are empty, or nothing in them is an answer of the assistant, or their loss masks are 0 \
         throughout. A map built from nothing holds the tokens of the lowest ids, which are hardly those a verifier uses.\n\n\
         Check the data. `speculators vocab --count all` counts the user's turns as well.";
    HIDDEN_SIZE = 401, "the head reads another hidden size than the verifier has",
        "`fc` reads hidden states of the verifier, so its width is a multiple of the verifier's hidden size. This \
         head was trained on states of another width and cannot read these.\n\n\
         Pass the verifier the head was trained for; its name is in `speculators_config.verifier.name_or_path` if the \
         head has one. Models of one family but of different size do not exchange heads.";
    VOCABULARY = 402, "the head was built for another vocabulary than the verifier's",
        "`vocab_size` in the head's config is not the number of rows in the verifier's embedding. Token ids then mean \
         different things to the two, or the embeddings the head borrows from the verifier have another number of \
         rows than it expects.\n\n\
         If the sizes differ by a little, one of them counts padding rows: the head should state the verifier's \
         `vocab_size` as its config has it, padding included. If they differ by much, the head belongs to another \
         model.";
    AUX_LAYER_RANGE = 403, "an auxiliary layer id lies outside the verifier",
        "The head reads the verifier's hidden state after `k` layers have run, for each id `k` in \
         `eagle_aux_hidden_state_layer_ids`; 0 is the embedding, the number of layers is the state after the last \
         one, before the final norm. An id beyond that names a state that does not exist.\n\n\
         The head was trained on a deeper verifier, or the ids were written by hand. Other tools count the output of \
         layer `i`, starting from 0; their ids are one lower than these, never higher.";
    AUX_LAYER_COUNT = 404, "the auxiliary layer ids do not fit the width of `fc`",
        "`fc.weight` has one block of columns for each auxiliary layer, as wide as the verifier's hidden size. The \
         number of different ids in the config is not the number of blocks. Runtimes sort the ids and drop repeated \
         ones, so a repeated id counts once.\n\n\
         List the layers the head was trained on. EAGLE-3 on a verifier of `n` layers uses 2, n/2 and n-3 (rounded \
         down) unless the trainer was told otherwise.";
    SPECIAL_TOKEN = 405, "a token that ends a turn is outside the draft vocabulary",
        "The verifier ends its answer with a token that the head has no row for, so the head can never propose it. \
         Each answer then ends in a rejected draft. The cost is small for long answers; for short ones it is felt.\n\n\
         Nothing in a finished head can be changed. When the next vocabulary map is built, include every end-of-text \
         and end-of-turn token of the verifier, however rare it is in the training text.";
    NORM_BEFORE_RESIDUAL = 406, "`norm_before_residual` is not written down",
        "The flag says whether the residual of the first layer starts from the normalized or from the plain output of \
         `fc`. It changes every hidden state of the head, and no tensor gives it away. When the key is missing, the \
         Python package `speculators` takes false and vLLM takes true, so the head drafts differently in the two and \
         wrongly in one.\n\n\
         Write the value the head was trained with into `config.json`. Heads trained with `speculators` are true \
         unless the trainer was told otherwise; heads from the original release, SpecForge, ModelOpt and AngelSlim \
         are false. If it is not known, evaluate the head with both and keep the one that accepts more.";
    ROPE_MISMATCH = 407, "the head and the verifier rotate positions differently",
        "Heads are normally trained with the rotary embedding of their verifier. This one states another base or \
         another scaling. That may be as trained, but it is also what remains when a conversion dropped \
         `rope_scaling` or `rope_parameters`, or when an exporter wrote a scaling that training never used. \
         Acceptance then falls with the length of the text.\n\n\
         Find out what the trainer used. `speculators eval` with and without the change shows which of the two the \
         weights were trained for.";
    PROPOSAL_METHOD = 408, "the proposal methods cannot be used as written",
        "`speculators_config` lists ways of proposing tokens, each with a number of `speculative_tokens`, and names \
         one of them as the default. The list is empty, the default is not in it, or a number of tokens is below one. \
         The Python package refuses such a config when it loads it, and vLLM takes the number of draft tokens from \
         the first entry.\n\n\
         Keep one entry with `\"proposal_type\": \"greedy\"` and three to five `speculative_tokens`, and name \
         `greedy` as `default_proposal_method`.";
    AUX_LAYERS_MISSING = 409, "the config leaves open which verifier layers the head reads",
        "Either the config names no layers, or it names them in a place where some programs count the layers that \
         have run and others the outputs of layers from 0, one less. Where no layers are named, runtimes assume 2, \
         n/2 and n-3 of `n` layers. A head that is given other states than it was trained on loads and accepts next \
         to nothing.\n\n\
         Write the layers the head was trained on into `eagle_aux_hidden_state_layer_ids`, counted as the number of \
         layers that have run; `speculators convert` does so, and takes them from `--aux-layers` or reads them by \
         `--aux-convention`.";
    VERIFIER_UNSUPPORTED = 410, "the verifier's architecture is not supported",
        "The verifier's `config.json` names a model type this version does not know, or a feature of a known type \
         that it does not implement. Its keys could be read, but what they mean could not be relied on, and a wrong \
         guess would show as low acceptance and not as an error.\n\n\
         The head can still be validated on its own: leave out `--verifier`.";
    GUESS_REFUSED = 411, "something had to be guessed and `--strict` forbids it",
        "The source leaves a fact open that the head depends on. Without `--strict` the likeliest value is taken and \
         reported along with the reason.\n\n\
         State the value with the option the message names, or leave out `--strict` and check the result with \
         `speculators eval`.";
    NOT_REPRESENTABLE = 412, "the head has a feature that cannot be represented or is contradictory",
        "Two statements of the config exclude each other, or the head has a part that the layout to be written has no \
         place for. Leaving it out would give a head that loads and drafts wrongly.\n\n\
         If the config contradicts itself, remove the statement that does not describe the weights.";
    NORM_EPS = 413, "the head and the verifier use another norm epsilon",
        "`rms_norm_eps` of the head is not that of its verifier. It is added to the mean square before the root, so \
         it matters only where hidden states are very small. Trainers copy the verifier's value; another one is often \
         a default that was filled in for a missing key.\n\n\
         If the head was trained with the verifier's value, write that one. Otherwise nothing has to be done.";
    CONTEXT_LENGTH = 414, "the head is made for shorter texts than the verifier",
        "`max_position_embeddings` of the head is below the verifier's. Some runtimes raise it to the verifier's when \
         they load the head; others size a table by it and fail beyond its end. Either way the head has hardly been \
         trained on positions beyond the number, and acceptance falls there.\n\n\
         For serving, the verifier's value can be written if the rotary embedding has no scaling that depends on it. \
         Measure the acceptance on long texts before relying on it.";
    TIED_EMBEDDINGS = 415, "`tie_word_embeddings` is set although the vocabularies differ",
        "With `tie_word_embeddings`, a loader uses the embedding as the output matrix. A head with a reduced \
         vocabulary has an output matrix of its own, with other rows in another order; a loader that honours the key \
         replaces it by the embedding.\n\n\
         Set the key to false in `config.json`, wherever it occurs.";
    VERIFIER_NAME = 416, "the head names another verifier",
        "`speculators_config.verifier` says which model the head was trained for, and the architecture it names is \
         not that of the verifier it was checked with. A runtime that is given the head alone loads the model named \
         there.\n\n\
         If the head was meant for the verifier it was checked with, correct `name_or_path` and `architectures`. \
         Otherwise check it with the verifier it names.";
    BLOCK_TOKENS = 417, "a block drafter is asked for more or fewer tokens than its block holds",
        "A block drafter fills a block of `block_size` positions in one pass. With a known token in the first position, \
         the block holds one token less than it has positions; with `sample_from_anchor`, it holds as many. The proposal \
         method of this head asks for another number.\n\n\
         More tokens than the block holds are drafted at positions that no training ever saw. Fewer are possible, but \
         positions that see the whole block then see a shorter one than in training. Write the number that the block \
         gives, or correct `block_size` or `sample_from_anchor`.";
    MASK_TOKEN = 418, "a parallel drafter has no mask token, or one outside the vocabulary",
        "Where a head drafts several tokens in one pass, the positions it is to fill hold the embedding of one particular \
         token, `mask_token_id`. It is not written down here, or it is not below `vocab_size`, so that there is no such \
         embedding.\n\n\
         Write the id the head was trained with. Trainers take the tokenizer's mask token, a token added for the \
         purpose in the padded part of the vocabulary, or the padding token; with any other one the head drafts \
         from an embedding it has never seen.";
    BLOCK_KEY = 419, "a key is not written down, and programs assume different values",
        "For `sample_from_anchor` and `sliding_window_non_causal`, the Python package `speculators` and vLLM take \
         different values where the config is silent. Both decide what a position of the block predicts or sees; with \
         the wrong one, nearly everything that is drafted is rejected.\n\n\
         Write the value the head was trained with. The finding says what each program takes.";
    LAYER_MISMATCH = 420, "the MTP layer is built otherwise than its verifier",
        "An MTP layer is a decoder layer of its verifier: family, heads, experts and biases are the same in both. Runtimes \
         draft with it from the verifier's directory and build it by the verifier's config, so that a layer of another \
         build does not load there, and cannot be put back with `stitch-mtp`.\n\n\
         Pass the verifier the layer was taken from.";
    AUX_LAYERS_COLLIDE = 441, "the usual auxiliary layers do not exist in this verifier",
        "A head reads the states of a few verifier layers. Where none are named, everybody takes 2, n/2 and n-3 of n layers, \
         counted as \"after k layers have run\". In a verifier with fewer than seven layers two of these are the same, or they \
         run backwards, and there is no custom for it.\n\n\
         Name the layers with `--aux-layers`, such as `--aux-layers 1,2,3`. Hidden states for training have to be taken from \
         the same layers.";
    MASK_TOKEN_OPEN = 442, "no token is certain to mean \"not drafted yet\"",
        "Heads that draft several tokens in one pass put a mask token where none is drafted yet. The tokenizer's own mask \
         token is taken, or a row of the embedding that no token uses. This verifier has neither. The Python package takes the \
         padding or the end of a text then, which occur in training data with their own meaning.\n\n\
         Choose a token that does not occur in texts, such as one of those that tokenizers reserve, and pass it as \
         `--mask-token-id`.";
    DRAFT_GEOMETRY = 443, "the verifier's attention heads do not make a draft layer",
        "A draft layer takes the number of heads and the channels per head over from the verifier. Query heads have to share \
         key and value heads evenly, the channels of a head are rotated in pairs, and without `head_dim` the width has to be \
         a multiple of the number of heads. The verifier's config says otherwise.\n\n\
         Check the config: a damaged or hand-edited one is the usual reason. An attention of another kind has no \
         counterpart in the layouts that are written.";
    SHARED_QUANTIZED = 444, "a tensor that the head takes over is quantized",
        "A new head starts with the verifier's embedding and output matrix. Here one of them is stored as codes of 8 or fewer \
         bits, with scales beside it. Taken for values, the codes would make a head that loads and drafts nonsense; the \
         Python package does that with some of them.\n\n\
         Start from the checkpoint that the verifier was quantized from. The head serves the quantized verifier all the \
         same, because both have the same states.";
    DRAFT_VOCABULARY_OPEN = 445, "nothing says which tokens the head is to propose",
        "A head with fewer draft tokens than its verifier has tokens never proposes the others. Which ones matter depends on \
         the texts it will serve: a choice that fits badly costs acceptance everywhere and shows nowhere. The Python package \
         takes the whole vocabulary then, although a smaller one was asked for.\n\n\
         Count the tokens of representative texts with `speculators vocab` and pass the counts (`--token-freq`) or the \
         finished map (`--vocab`), or leave `--draft-vocab-size` out.";
    FAMILY_UNKNOWN = 446, "the verifier's config does not say what a head for it looks like",
        "Sizes and the rotary embedding of a head come from the verifier's config. What a config leaves out means the default \
         of its family, and those of the usual families are known here. This config leaves out a key of a family that is not \
         known, or has a rotary embedding that cannot be brought to the form drafts are run with.\n\n\
         Add the key the finding names to a copy of the config, with the value that the verifier's own code takes.";
    PROBE_TEXT = 451, "too little text to measure on",
        "`probe` holds the head against text that the verifier writes itself. Of a few dozen positions nothing can be \
         told: chance alone would decide.\n\n\
         Give more prompts, or such as the verifier answers at length, and raise `--tokens` (1000 by default).";
    PROBE_CONTRADICTED = 452, "what is declared agrees less with the verifier than another reading",
        "Layer ids, norm flags and the rotary embedding are not visible in the tensors. Read as declared, the head drafts \
         the verifier's tokens less often than read otherwise, by more than chance explains. A runtime reads what is \
         declared.\n\n\
         `probe --write` puts the reading that agrees best into the config of a head in the speculators layout; for any \
         other layout, `convert` takes it as flags, which the finding names.";
    PROBE_UNDECIDED = 453, "measurement does not decide between two readings",
        "The readings differ by less than three standard errors, or the head agrees with the verifier no more than one \
         that always proposes the commonest token. Nothing is picked then.\n\n\
         Raise `--tokens`, or give longer prompts where the rotary embedding is in question: bases differ at a distance. A \
         head that agrees with nothing is untrained, or was made for another verifier.";
    PROBE_WRITE = 454, "what was measured cannot be written here",
        "Only a config in the speculators layout says all of it in so many words, and `probe` changes configs only, no \
         weights and no file that others may share.\n\n\
         Convert the head with the flags that the finding names, or fetch a copy of your own.";
    RUNTIME_KIND = 501, "the runtime does not serve this kind of checkpoint",
        "A runtime finds out what it was given by a few keys of the config, or by the file itself. This checkpoint is of \
         a kind, or in a layout, that the runtime named by `--for` does not know: it stops at once, or takes the head \
         for something else.\n\n\
         Convert the head to a layout the runtime reads, or serve it with another runtime. The finding names the \
         conversion where there is one.";
    RUNTIME_ASSUMES = 502, "the runtime takes something for granted",
        "The config does not say, or says it where the runtime does not look, and so the runtime goes by a default or by \
         the verifier. As information, what it takes is right for this head. As a warning, the head was made with \
         something else, or nothing tells: it loads without a word and accepts few tokens.\n\n\
         Write the key the finding names where the runtime reads it. `speculators convert` writes all of them.";
    RUNTIME_CONFIG = 503, "the runtime stops at a value of the config",
        "A key that the runtime has no default for is missing, or its value is one the runtime has no code for, or the \
         sizes it computes from the config are not those of the tensors.\n\n\
         Where the key is only badly written, the finding says what to write. Where the head has a feature that the \
         runtime lacks, no config helps: serve it with another runtime.";
    RUNTIME_TENSOR = 504, "the runtime has no place for a tensor",
        "Tensors are loaded by name. The runtime makes room for the names that follow from the config, and this one is \
         not among them. vLLM stops at such a tensor; SGLang skips it and runs a head that lacks a part. A name that is \
         looked for and not found is worse still, because memory keeps whatever it held.\n\n\
         Convert the head, which gives each tensor the name that is looked for, or set the flag the finding names.";
    RUNTIME_VERIFIER = 505, "the verifier the config names cannot be loaded from here",
        "A runtime that is given the head alone loads the verifier named by `speculators_config.verifier.name_or_path`. \
         The name is missing, or is a path on another machine.\n\n\
         Correct the name, or give the runtime both: the verifier as the model and the head as an option. The report \
         shows the command.";
    HUB_UNREACHABLE = 511, "the Hub cannot be reached",
        "No connection to the Hub came about, or it was cut or stood still again and again. What had arrived is kept, so \
         that the same command goes on where it stopped.\n\n\
         Check the network, a proxy (`HTTPS_PROXY`), and `HF_ENDPOINT` if a mirror is meant. On a slow line raise \
         `HF_HUB_DOWNLOAD_TIMEOUT` (seconds without a byte, 10 by default). Without a network, `--offline` uses what the \
         cache holds.";
    HUB_DENIED = 512, "the Hub does not let this user in",
        "The repository is gated or private, or the token is not valid any more. A gated repository asks each user to \
         accept its conditions on its page once; after that a token of that user opens it.\n\n\
         Set `HF_TOKEN`, or store a token with `hf auth login`; `speculators doctor` shows whether one is found. With \
         `HF_HUB_DISABLE_IMPLICIT_TOKEN` set, none is sent.";
    HUB_MISSING = 513, "the Hub has no such repository, revision or file",
        "The name may be misspelled; names are `owner/name`, with the case they have on the Hub. For somebody without \
         access, a private repository looks like one that does not exist.\n\n\
         Look the name up on the Hub, or set `HF_TOKEN` if the repository is private.";
    HUB_BUSY = 514, "the Hub answers with trouble of its own",
        "The Hub asked to wait for longer than a command should, or went on failing after several attempts with growing \
         pauses.\n\n\
         Try later; what had arrived is kept. Requests with a token are allowed more often than those without.";
    HUB_ANSWER = 515, "the Hub's answer cannot be used",
        "An answer was not of the form the Hub promises: a listing that cannot be parsed, a file name that leads out of \
         its directory, a redirect that goes in circles, more or fewer bytes than were asked for.\n\n\
         Mirrors and proxies are the usual cause. Try without `HF_ENDPOINT`, and without a proxy. What does not fit is \
         never used.";
    HUB_DIGEST = 516, "what was downloaded is not what the Hub names",
        "The size or the hash of a file differs from the one the Hub gives for it, even after it was fetched again from \
         its beginning. The file was not put into place.\n\n\
         A proxy that changes what passes through it, or a damaged disk, are the usual causes. Fetch it over another \
         line, or report it to the owner of the repository.";
    HUB_OFFLINE = 517, "it is not in the cache, and the Hub may not be asked",
        "`--offline` or `HF_HUB_OFFLINE` forbids the network, and the cache of the Hub does not hold what is needed.\n\n\
         Fetch it once with `speculators pull`, with Python's `snapshot_download` or with `hf download`: they share the \
         cache (`HF_HUB_CACHE`, else `hub` in `HF_HOME`).";
    DISK_FULL = 518, "there is not enough room on the disk",
        "What is to be fetched is larger than the free space at its destination. Nothing was fetched.\n\n\
         Make room, choose another cache with `HF_HUB_CACHE`, or fetch less: `--include` and `--exclude` choose files, \
         `--only` single tensors.";
    HUB_SELECTION = 519, "nothing in the repository matches",
        "The patterns of `--include`, `--exclude` or `--only` leave no file or tensor. Patterns are compared with the whole \
         path; `*` matches slashes too, as in Python's client.\n\n\
         `speculators pull REPO --dry-run` lists the files.";
    HUB_NAME = 520, "this is not a name of a repository",
        "A repository is named `owner/name`, optionally with `@revision`: a branch, a tag or a commit. Names have letters, \
         digits, `-`, `_` and `.`, at most 96 of them, and neither `--` nor `..`.\n\n\
         A directory is passed by its path; `./name` is always a path.";
    HUB_UPLOAD = 521, "the Hub did not take the upload",
        "The repository exists and may not be written to by this token, it has moved on since the upload began, or the \
         Hub refused the commit. A commit is taken whole or not at all.\n\n\
         Check that the token has write access (`HF_TOKEN`), or upload to another repository and open a pull request.";
    TOKENIZER = 701, "the tokenizer or chat template cannot be used",
        "`tokenizer.json` is missing, cannot be parsed or uses a part this version lacks, or the chat template fails \
         for the given messages. Prompts cannot be turned into token ids without it.\n\n\
         Fetch the tokenizer files of the verifier into its directory. If the template is at fault, pass prompts that \
         are already rendered.";
    PROMPT_MALFORMED = 702, "a line of the prompts file is malformed",
        "A prompts file has one JSON object on each line, with a prompt as text or a list of messages. The line given \
         is not JSON, or has none of the keys a prompt is looked for under.\n\n\
         Correct or remove the line.";
    PROMPT_TOO_LONG = 703, "a prompt leaves no room to generate",
        "The prompt has as many tokens as the verifier has positions, or as many as the limit that was set, so that \
         not one token can be generated after it.\n\n\
         Shorten the prompt or raise the limit.";
    PROMPTS_EMPTY = 704, "there is no prompt to evaluate",
        "The prompts file is empty, or nothing of it remains once prompts that are malformed or too long are left \
         out.\n\n\
         The other findings say why each was left out.";
    DATA_MALFORMED = 711, "a line of the data is malformed",
        "Data for counting and training have one JSON object on each line: `text`, a conversation as `messages` or \
         `conversations`, or `input_ids` with a `loss_mask`. The line given is not JSON, has none of these keys or several, or \
         has something else under one of them.\n\n\
         Correct or remove the line. `--skip-invalid` leaves such lines out and says how many there were.";
    DATA_TOKEN_RANGE = 712, "a token of the data is outside the vocabulary",
        "A token id of the data, or of what the tokenizer made of their text, is not below `vocab_size` of the verifier. The data \
         were prepared with another tokenizer, or the tokenizer files belong to another model.\n\n\
         Prepare the data again with the tokenizer of this verifier.";
    SPANS_UNSTABLE = 713, "the assistant's part of a conversation cannot be told from the rest",
        "Which tokens are the assistant's is found by rendering the conversation up to an answer and with it: what the second has \
         more is the answer. The chat template of this verifier renders earlier turns differently once an answer follows, as \
         templates do that take reasoning out of the history, so that there is no such point.\n\n\
         Give the conversation as `input_ids` with a `loss_mask`, count everything with `--count all`, or leave the line out with \
         `--skip-invalid`.";
    SPANS_DIVERGE = 714, "an answer begins otherwise than the chat template opens it",
        "The chat template opens the assistant's turn with text that the recorded answer does not have, such as an empty block for \
         reasoning. The answer is then taken to begin where the two first differ, after everything the conversation had before, \
         as the Python package does it.\n\n\
         Nothing has to be done if the answers were written by this verifier. If another model wrote them, let the verifier \
         answer the prompts itself.";
    DATA_SKIPPED = 715, "lines of the data were left out",
        "Some lines could not be used, and `--skip-invalid` was given. The counts are those of the others. The notes name the \
         first lines and what is wrong with them.\n\n\
         A few lines in many thousand do not matter. If it is a larger part, correct the data.";
    DATA_ROLES = 716, "turns of unknown roles were taken for the assistant's",
        "A conversation has turns of a role that is none of `user`, `human`, `assistant`, `gpt`, `system` and `tool`. The Python \
         package takes such turns for the assistant's, because some data name the model that answered, and so they are \
         taken here.\n\n\
         If the role is not an answer, correct the data: its text is counted, and trained on, as if it were.";
    PROMPTS_SKIPPED = 717, "entries of a prompts file hold no usable prompt",
        "Published files of conversations have entries without a turn, without a human's turn, or from nobody known; those of \
         SPEED-Bench have entries whose text is to be fetched elsewhere. They are left out, counted and named; the rest is \
         evaluated.\n\n\
         Nothing, where the rest is what was wanted. SPEED-Bench's missing texts are fetched by the script that NVIDIA publishes \
         with it.";
    PROMPTS_ADJUSTED = 718, "prompts are read otherwise than they stand in the file",
        "A prompts file can be read in more than one way, and the message says in which it was: turns of the assistant before \
         anybody asked are left out, questions of one user after another are answered in between, and a prompt that only \
         repeats the first turn of a conversation is read once.\n\n\
         Nothing, where this is what was meant; otherwise write the prompts in the form that says what is meant.";
    PROMPTS_FORM = 719, "the prompts file is not text",
        "Prompts are read from text: JSON, JSON Lines, or plain lines. The file given is Parquet, compressed, or not UTF-8.\n\n\
         Export Parquet to JSON Lines with `pandas` or `duckdb`, unpack what is compressed, and give that file.";
    TEMPLATE_VARIABLE = 720, "the chat template does not read a variable that is set for it",
        "Variables such as `enable_thinking` switch parts of a chat template on and off, each family naming its own. The one \
         given occurs nowhere in the template of this verifier, so that setting it changes nothing.\n\n\
         The message lists what the template reads. Set one of these with `--chat-template-kwargs`, or leave the option out.";
    RECORDS_MALFORMED = 731, "a file is not the records of an evaluation",
        "`eval --records` writes one JSON object a line: first `\"record\": \"run\"` with the schema and the setting, then the \
         steps of each request and the request itself; as Parquet the same lines are rows of a table. The file given lacks the \
         first line, names another schema, or holds a line that is none of these. Only a last line that was cut off in the \
         middle is read over, because a run that is killed leaves one.\n\n\
         Give the file that `--records` wrote. If a later version wrote it, read it with that version; if a line was changed by \
         hand, remove the request it belongs to.";
    RECORDS_OTHER_RUN = 732, "the records to go on from are of another run",
        "`eval --resume` keeps the requests that are complete in the records and runs the others. That makes one report only if \
         all of them are decoded in the same way and timed in the same way: the setting and the prompts must be those of the \
         records. The notes give what differs, in the file and here.\n\n\
         Repeat the options of the first run, or write to another file.";
    REQUESTS_NAMELESS = 733, "two requests have the same id",
        "Records name the request that each line belongs to by its id. Requests that run at the same time, or that are looked up \
         in the records of a run that was stopped, can be told apart only if no two of them have the same. Later turns of a prompt \
         have its id with `/2`, `/3` and so on behind it, and another prompt must not have that either.\n\n\
         Give each prompt an `id` of its own, or leave `id` out: then it is the number of the line.";
    CALIBRATION = 741, "a calibration of draft trees cannot be used",
        "A calibration says how often draft tokens were right, by depth, place in the head's list and probability: the JSON file \
         that `eval --best --write-calibration` writes. This one cannot be read, is of another form, or has a curve that \
         descends or leaves the range from 0 to 1.\n\n\
         Write it again. A calibration belongs to one head and one verifier; another's does no harm to the output, but \
         drafts badly.";
    SURVEY_EMPTY = 742, "there is no survey to find the best setting from",
        "What would be best is found from a survey: at each position of the outputs, the head's list is compared with how the \
         text went on. These records hold none, or the run gave no output that is long enough to have a step.\n\n\
         Run `eval --best --records FILE.jsonl`; its records can be taken with `--from-records` as often as wanted.";
    NOT_A_RUN = 751, "a file to compare is no finished run",
        "Two runs are compared by their reports (`eval --format json`) or their records (`eval --records`). The file given \
         is neither, or is malformed, or is a report of a version that did not yet keep sums by request.\n\n\
         Name a report or records. Records of any version can be compared.";
    NOTHING_IN_COMMON = 752, "two runs to compare have no prompt in common",
        "Runs are compared prompt by prompt: requests are paired by their ids, and pairs whose prompts are not the same \
         tokens are left out. Nothing is left.\n\n\
         Run both over the same prompts file, with the same tokenizer and chat template.";
}

/// The explanation of a code, or nothing for an unknown one.
#[must_use]
pub fn explain(code: Code) -> Option<&'static Explanation> {
    ALL.iter().find(|explanation| explanation.code == code)
}

/// The first number of each family and what the family is about.
pub const FAMILIES: &[(u16, &str)] = &[
    (0, "Command"),
    (100, "Files"),
    (200, "Tensors"),
    (300, "Vocabulary maps"),
    (400, "Head against verifier and serving configuration"),
    (500, "Serving with a runtime"),
    (700, "Prompts, data and runs"),
];

/// The page `docs/errors.md`: every explanation, by family.
#[must_use]
pub fn markdown() -> String {
    let mut page = String::from(
        "# Diagnostic codes\n\n\
         <!-- Generated from formats/src/codes.rs by `cargo run -p speculators-formats --example errors_page`. -->\n\n\
         Each finding carries a code that stays the same from version to version. An error means that the head will \
         not load or\nwill draft wrong tokens, a warning that it loads but is probably not what was meant; the rest \
         is information.\n`speculators explain S202` prints one of the sections below.\n",
    );
    let mut families = FAMILIES.iter().peekable();
    for Explanation { code, title, text } in ALL {
        while let Some((_, family)) = families.next_if(|(first, _)| code.0 >= *first) {
            let _ = write!(page, "\n## {family}\n"); // writing to a String does not fail
        }
        let _ = write!(page, "\n### {code}: {title}\n\n{text}\n");
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_ascend_and_belong_to_a_family() {
        assert!(ALL.is_sorted_by(|a, b| a.code < b.code));
        for explanation in ALL {
            let family = explanation.code.0 / 100 * 100;
            assert!(
                FAMILIES.iter().any(|(first, _)| *first == family),
                "{}",
                explanation.code
            );
        }
    }

    #[test]
    fn every_text_says_what_it_is_and_what_to_do() {
        for Explanation { code, title, text } in ALL {
            assert!(text.split("\n\n").count() >= 2, "{code} has no remedy");
            assert!(text.ends_with('.') && !text.contains("  "), "{code}");
            assert!(!title.ends_with('.'), "{code}");
        }
    }

    #[test]
    fn codes_are_read_as_people_type_them() {
        assert_eq!("s202".parse(), Ok(TENSOR_UNEXPECTED));
        assert_eq!("405".parse(), Ok(SPECIAL_TOKEN));
        assert_eq!("S999".parse::<Code>(), Err(UnknownCode("S999".into())));
    }

    #[test]
    fn the_page_is_current() {
        let committed =
            fs_err::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/errors.md"))
                .unwrap();
        assert!(
            committed == markdown(),
            "run `cargo run -p speculators-formats --example errors_page`"
        );
    }
}
