
use builtin;
use str;

set edit:completion:arg-completer[speculators] = {|@words|
    fn spaces {|n|
        builtin:repeat $n ' ' | str:join ''
    }
    fn cand {|text desc|
        edit:complex-candidate $text &display=$text' '(spaces (- 14 (wcswidth $text)))$desc
    }
    var command = 'speculators'
    for word $words[1..-1] {
        if (str:has-prefix $word '-') {
            break
        }
        set command = $command';'$word
    }
    var completions = [
        &'speculators'= {
            cand --color 'When to use colors'
            cand -q 'Say less; twice silences warnings too'
            cand --quiet 'Say less; twice silences warnings too'
            cand -v 'Say more'
            cand --verbose 'Say more'
            cand --no-progress 'Draw no progress bars'
            cand --offline 'Do not ask the Hub; use what its cache holds'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
            cand -V 'Print version'
            cand --version 'Print version'
            cand pull 'Fetch a verifier or a head from the Hub'
            cand vocab 'Count tokens, and choose the draft vocabulary of a head by them'
            cand init 'Start a new head for a verifier'
            cand convert 'Rewrite a head in the layout that vLLM serves, or in another'
            cand stitch-mtp 'Put a finetuned MTP head back into its verifier'
            cand validate 'Check that a head will load and can accept tokens'
            cand inspect 'Show what is in a checkpoint'
            cand diff 'Show what differs between two checkpoints'
            cand eval 'Measure acceptance and latency of a head, offline'
            cand push 'Put a checkpoint on the Hub, with a model card'
            cand doctor 'Show what this machine offers'
            cand explain 'Explain a diagnostic code'
            cand completions 'Print shell completions, or write them and the man pages'
            cand help 'Print this message or the help of the given subcommand(s)'
        }
        &'speculators;pull'= {
            cand --revision 'Branch, tag or commit'
            cand --include 'Fetch only files that match this pattern; may be given again'
            cand --exclude 'Leave out files that match this pattern; may be given again'
            cand --only 'Fetch only these tensors, and what else makes a small verifier of them: `embed_tokens`, `lm_head` and `norm` by their role, others by name or pattern'
            cand --local-dir 'Put the files here instead of into the cache; with `--only`, `./NAME-partial` is the default'
            cand --format 'Form of the report'
            cand --color 'When to use colors'
            cand --force 'Replace what is in the way: files in `--local-dir`, or the directory of `--only`'
            cand --dry-run 'Show what would be fetched, and fetch nothing'
            cand -q 'Say less; twice silences warnings too'
            cand --quiet 'Say less; twice silences warnings too'
            cand -v 'Say more'
            cand --verbose 'Say more'
            cand --no-progress 'Draw no progress bars'
            cand --offline 'Do not ask the Hub; use what its cache holds'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
        }
        &'speculators;vocab'= {
            cand --verifier 'Directory of the verifier: config, tokenizer, chat template; its weights are not read'
            cand --token-freq 'Counts that are there already, instead of data: `.npy`, `.safetensors`, `.json`, or `token_freq.pt` of the Python package'
            cand --merge 'Counts to be added, in any of the forms of `--token-freq`'
            cand --vocab-size 'Tokens of the verifier, where neither it nor the counts say'
            cand --draft-vocab-size 'Tokens of the draft vocabulary'
            cand --force-include 'Tokens to be in the map whatever their count: ids, `eos` for those that end a text, `chat` for those of the chat template, `none` [default: eos,chat]'
            cand --count 'Which tokens of conversations, and of ids with a loss mask, are counted'
            cand --seq-length 'Look only at the first tokens of each sequence, as training does'
            cand --threads 'Worker threads [default: one per core]'
            cand -o 'Where to write counts and map; the directory may hold other files [default: nothing is written]'
            cand --output-path 'Where to write counts and map; the directory may hold other files [default: nothing is written]'
            cand --format 'Form of the report'
            cand --color 'When to use colors'
            cand --no-force-include 'Include no token but for its count, as the Python package does'
            cand --skip-invalid 'Leave out lines that cannot be used, and say how many there were'
            cand --force 'Replace files of the output that exist'
            cand -q 'Say less; twice silences warnings too'
            cand --quiet 'Say less; twice silences warnings too'
            cand -v 'Say more'
            cand --verbose 'Say more'
            cand --no-progress 'Draw no progress bars'
            cand --offline 'Do not ask the Hub; use what its cache holds'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
        }
        &'speculators;init'= {
            cand --verifier 'Directory of the verifier, or its name on the Hub; its config, embedding and output matrix are enough'
            cand -o 'Where to write the head'
            cand --output-path 'Where to write the head'
            cand --algorithm 'Kind of head: `eagle3`, `peagle`, `dflash` or `dspark`'
            cand --verifier-name 'What the output calls its verifier [default: the path given]'
            cand --draft-vocab-size 'Tokens the head can propose [default: all of the verifier''s]'
            cand --token-freq 'Counts of tokens, of which the most frequent are taken: `token_freq` of `speculators vocab` or of the Python package'
            cand --vocab 'Directory with a finished map: `d2t` and `t2d`'
            cand --num-layers 'Draft layers [default: 5 for `dflash` and `dspark`, else 1]'
            cand --draft-arch 'Kind of the draft layers [default: llama for `eagle3`, else qwen3]'
            cand --hidden-act 'Activation in the draft layers [default: silu]'
            cand --sliding-window 'Width of the attention window of the draft layers [default: 2048]'
            cand --full-attention-layers 'Draft layers, counted from 0, that see everything instead of a window'
            cand --aux-layers 'Verifier layers the head reads, each counted as "after this many layers have run" [default: 2, n/2, n-3]'
            cand --norm-before-residual 'The first layer''s residual is the normalized `fc` output; eagle3, peagle [default: true]'
            cand --norm-before-fc 'One norm over the concatenated layers before `fc`; eagle3, peagle [default: true for eagle3]'
            cand --fc-norm 'One norm per layer before `fc`; eagle3, peagle [default: false]'
            cand --norm-output 'The normalized output is fed to the next draft step; eagle3, peagle [default: true for eagle3]'
            cand --mask-token-id 'Token that stands for one not drafted yet; all but eagle3 [default: the tokenizer''s, or the first unused row]'
            cand --num-speculative-tokens 'Draft tokens per step the head asks for [default: 3, peagle 8, else what a block holds]'
            cand --block-size 'Positions of a block; dflash, dspark [default: 16, dspark 8]'
            cand --sample-from-anchor 'The first position of a block predicts a token, too; dflash, dspark [default: true for dspark]'
            cand --sliding-window-non-causal 'Layers with a window see all of the block; dflash, dspark [default: false]'
            cand --markov-rank 'Rank of the bias from the previous token, 0 for none; dspark [default: 256]'
            cand --markov-head-type 'How that bias depends on the state; dspark [default: vanilla]'
            cand --enable-confidence-head 'A head that foretells acceptance; dspark [default: true]'
            cand --confidence-head-with-markov 'It reads the embedding of the previous token, too; dspark [default: true]'
            cand --dtype 'Dtype of the weights [default: bfloat16]'
            cand --seed 'Seed of everything random'
            cand --format 'Form of the report'
            cand --color 'When to use colors'
            cand --dry-run 'Show the config and the tensors and write nothing'
            cand --force 'Replace the output if it exists'
            cand -q 'Say less; twice silences warnings too'
            cand --quiet 'Say less; twice silences warnings too'
            cand -v 'Say more'
            cand --verbose 'Say more'
            cand --no-progress 'Draw no progress bars'
            cand --offline 'Do not ask the Hub; use what its cache holds'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
        }
        &'speculators;convert'= {
            cand --verifier 'Directory of the verifier; its config is read, for `--embed verifier` its weights and for `--to gguf` its tokenizer'
            cand --to 'Layout to write'
            cand --algorithm 'Kind of head; recognized from the tensors where it is left out'
            cand -o 'Where to write the converted checkpoint'
            cand --output-path 'Where to write the converted checkpoint'
            cand --algorithm-kwargs 'Options as a JSON object, in the spelling of the Python package'
            cand --validate-device 'Accepted for scripts that pass it; the output is always validated, on the CPU'
            cand --verifier-name 'What the output calls its verifier [default: the path given]'
            cand --num-speculative-tokens 'Draft tokens per step that the output asks for [default: as in the source, else 3 or a whole block]'
            cand --dtype 'Dtype of the weights in the output [default: as in the source]'
            cand --embed 'The embedding: the head''s own if it has one, the verifier''s, or none'
            cand --lm-head 'An output matrix with a row for each verifier token: kept, or cut to the draft''s tokens'
            cand --fc-bias 'A bias after `fc` that the target has no place for: may go if it is zero, or is an error'
            cand --aux-layers 'Verifier layers the head reads, each counted as "after this many layers have run" unless `--aux-convention` says otherwise'
            cand --aux-convention 'What layer ids count: those of `--aux-layers` where it is given, else the source''s own'
            cand --norm-before-residual 'The first layer''s residual is the normalized `fc` output'
            cand --norm-before-fc 'One norm over the concatenated layers before `fc`'
            cand --fc-norm 'One norm per layer before `fc`'
            cand --norm-output 'What the final norm is for: `feedback` (or true) if its output is fed to the next draft step, `head` (or false) if it only comes before `lm_head`'
            cand --rope 'Rotary embedding: `config` as stated, `verifier` as the verifier''s, `plain` for theta 10000 without scaling, or `theta=X`'
            cand --rope-theta 'Base of the rotary frequencies; short for `--rope theta=X`'
            cand --mask-token-id 'Token that stands for one not drafted yet, in parallel and block drafters'
            cand --head-dim 'Channels per attention head'
            cand --dflash-anchor 'What the first position of a block holds: a token that is known, or the first that is predicted'
            cand --format 'Form of the report'
            cand --color 'When to use colors'
            cand --strict 'Refuse wherever something would have to be guessed'
            cand --dry-run 'Show the plan and write nothing'
            cand --force 'Replace the output if it exists'
            cand -q 'Say less; twice silences warnings too'
            cand --quiet 'Say less; twice silences warnings too'
            cand -v 'Say more'
            cand --verbose 'Say more'
            cand --no-progress 'Draw no progress bars'
            cand --offline 'Do not ask the Hub; use what its cache holds'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
        }
        &'speculators;stitch-mtp'= {
            cand -o 'Where to write the verifier [default: its name and `-stitched`, here]'
            cand --output-path 'Where to write the verifier [default: its name and `-stitched`, here]'
            cand --format 'Form of the report'
            cand --color 'When to use colors'
            cand --dry-run 'Show the plan and write nothing'
            cand --force 'Replace the output if it exists'
            cand -q 'Say less; twice silences warnings too'
            cand --quiet 'Say less; twice silences warnings too'
            cand -v 'Say more'
            cand --verbose 'Say more'
            cand --no-progress 'Draw no progress bars'
            cand --offline 'Do not ask the Hub; use what its cache holds'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
        }
        &'speculators;validate'= {
            cand --verifier 'Directory of the verifier it is to run with'
            cand --for 'Say whether this runtime will load it, what it assumes, and how to serve it'
            cand --deny 'Findings that make the checkpoint not valid, besides errors: `warnings`, or codes'
            cand --allow 'Findings to leave out, by code; they are counted'
            cand --format 'Form of the report'
            cand --output 'Write the report to a file, and one line per checkpoint to stderr'
            cand --color 'When to use colors'
            cand --no-scan 'Do not look at the values of the weights'
            cand --force 'Replace the file if it exists'
            cand -q 'Say less; twice silences warnings too'
            cand --quiet 'Say less; twice silences warnings too'
            cand -v 'Say more'
            cand --verbose 'Say more'
            cand --no-progress 'Draw no progress bars'
            cand --offline 'Do not ask the Hub; use what its cache holds'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
        }
        &'speculators;inspect'= {
            cand --verifier 'Directory of the verifier of a head; settles what the head leaves to it'
            cand --format 'Form of the report'
            cand --color 'When to use colors'
            cand --tensors 'List the tensors'
            cand --sha256 'Sum up the weight files, as the Hub does'
            cand -q 'Say less; twice silences warnings too'
            cand --quiet 'Say less; twice silences warnings too'
            cand -v 'Say more'
            cand --verbose 'Say more'
            cand --no-progress 'Draw no progress bars'
            cand --offline 'Do not ask the Hub; use what its cache holds'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
        }
        &'speculators;diff'= {
            cand --verifier 'Directory of the verifier of both; settles what a head leaves to it, and knows its own tensors in a head'
            cand --tolerance 'Take tensors for equal whose difference has at most this share of their norm, in whatever dtype [default: only equal bytes]'
            cand --format 'Form of the report'
            cand --color 'When to use colors'
            cand --config-only 'Compare descriptions and configs, not the weights'
            cand --weights-only 'Compare the weights, not the configs'
            cand --tensors 'List all tensors and all config keys, also those that are equal'
            cand -q 'Say less; twice silences warnings too'
            cand --quiet 'Say less; twice silences warnings too'
            cand -v 'Say more'
            cand --verbose 'Say more'
            cand --no-progress 'Draw no progress bars'
            cand --offline 'Do not ask the Hub; use what its cache holds'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
        }
        &'speculators;eval'= {
            cand --verifier 'Directory of the verifier: config, safetensors, tokenizer'
            cand --speculator 'Directory of the head, in any layout that `inspect` recognizes'
            cand --prompts 'Prompts, one JSON object a line'
            cand --num-speculative-tokens 'Draft tokens per step, in a chain [default: what the checkpoint asks for]'
            cand --tree 'Draft a tree instead of a chain: `dynamic` (EAGLE-2), or a file with a list of paths of child ranks'
            cand --tree-top-k 'Nodes expanded per level of a dynamic tree, and children of each [default: 10, as EAGLE-3 was published]'
            cand --tree-depth 'Levels of a dynamic tree [default: 8]'
            cand --tree-budget 'Draft tokens of a dynamic tree that are verified, its root not counted [default: 59]'
            cand --temperature 'Sample at this temperature; 0 takes the most likely token'
            cand --top-k 'Sample among the most likely tokens only; 0 is all'
            cand --top-p 'Sample among the most likely tokens whose probabilities add up to this'
            cand --min-p 'Sample among tokens at least this probable relative to the most likely one'
            cand --seed 'Choose the noise of sampling [default: 0]'
            cand --max-new-tokens 'Output limit per request, in tokens [default: 256; 64 in the demonstration]'
            cand --limit 'Take only the first prompts'
            cand --threads 'Worker threads [default: one per core]'
            cand --format 'Form of the report'
            cand --outputs 'Write ids, text and accepted tokens per step of each request'
            cand --compare 'Compare with another engine''s outputs (`id`, `output_token_ids` a line) and show where logits tie'
            cand --records 'Write one line per verification step while it runs; a crash loses no more than the line being written'
            cand --from-records 'Run nothing: report on what `--records` wrote'
            cand --metrics 'Which metrics the text report lists; the JSON report has all'
            cand --fail-under 'End with 1 if a metric is less than this; may be given several times'
            cand --against 'Show differences from an earlier run''s records, paired by request, with intervals'
            cand --color 'When to use colors'
            cand --demo 'Evaluate the head that comes with this program; nothing else is needed'
            cand --force 'Replace the outputs and records files if they exist'
            cand -q 'Say less; twice silences warnings too'
            cand --quiet 'Say less; twice silences warnings too'
            cand -v 'Say more'
            cand --verbose 'Say more'
            cand --no-progress 'Draw no progress bars'
            cand --offline 'Do not ask the Hub; use what its cache holds'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
        }
        &'speculators;push'= {
            cand --verifier 'Verifier to validate it with, a directory or a repository'
            cand --eval 'Report of `eval --format json` for the card [default: the one that lies beside the checkpoint]'
            cand --revision 'Branch'
            cand --message 'What the commit says'
            cand --format 'Form of the report'
            cand --color 'When to use colors'
            cand --private 'Make the repository a private one, if it does not exist yet'
            cand --create-pr 'Open a pull request instead of writing to the branch'
            cand --dry-run 'Show the card and the files, and upload nothing'
            cand -q 'Say less; twice silences warnings too'
            cand --quiet 'Say less; twice silences warnings too'
            cand -v 'Say more'
            cand --verbose 'Say more'
            cand --no-progress 'Draw no progress bars'
            cand --offline 'Do not ask the Hub; use what its cache holds'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
        }
        &'speculators;doctor'= {
            cand --format 'Form of the report'
            cand --color 'When to use colors'
            cand --bandwidth 'Measure the memory''s read bandwidth; takes a second and 1 GiB'
            cand -q 'Say less; twice silences warnings too'
            cand --quiet 'Say less; twice silences warnings too'
            cand -v 'Say more'
            cand --verbose 'Say more'
            cand --no-progress 'Draw no progress bars'
            cand --offline 'Do not ask the Hub; use what its cache holds'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
        }
        &'speculators;explain'= {
            cand --color 'When to use colors'
            cand -q 'Say less; twice silences warnings too'
            cand --quiet 'Say less; twice silences warnings too'
            cand -v 'Say more'
            cand --verbose 'Say more'
            cand --no-progress 'Draw no progress bars'
            cand --offline 'Do not ask the Hub; use what its cache holds'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
        }
        &'speculators;completions'= {
            cand --write-to 'Write the completions of every shell and all man pages into this directory'
            cand --color 'When to use colors'
            cand --check 'Write nothing; exit with 1 where a file in that directory is stale or missing'
            cand -q 'Say less; twice silences warnings too'
            cand --quiet 'Say less; twice silences warnings too'
            cand -v 'Say more'
            cand --verbose 'Say more'
            cand --no-progress 'Draw no progress bars'
            cand --offline 'Do not ask the Hub; use what its cache holds'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
        }
        &'speculators;help'= {
            cand pull 'Fetch a verifier or a head from the Hub'
            cand vocab 'Count tokens, and choose the draft vocabulary of a head by them'
            cand init 'Start a new head for a verifier'
            cand convert 'Rewrite a head in the layout that vLLM serves, or in another'
            cand stitch-mtp 'Put a finetuned MTP head back into its verifier'
            cand validate 'Check that a head will load and can accept tokens'
            cand inspect 'Show what is in a checkpoint'
            cand diff 'Show what differs between two checkpoints'
            cand eval 'Measure acceptance and latency of a head, offline'
            cand push 'Put a checkpoint on the Hub, with a model card'
            cand doctor 'Show what this machine offers'
            cand explain 'Explain a diagnostic code'
            cand completions 'Print shell completions, or write them and the man pages'
            cand help 'Print this message or the help of the given subcommand(s)'
        }
        &'speculators;help;pull'= {
        }
        &'speculators;help;vocab'= {
        }
        &'speculators;help;init'= {
        }
        &'speculators;help;convert'= {
        }
        &'speculators;help;stitch-mtp'= {
        }
        &'speculators;help;validate'= {
        }
        &'speculators;help;inspect'= {
        }
        &'speculators;help;diff'= {
        }
        &'speculators;help;eval'= {
        }
        &'speculators;help;push'= {
        }
        &'speculators;help;doctor'= {
        }
        &'speculators;help;explain'= {
        }
        &'speculators;help;completions'= {
        }
        &'speculators;help;help'= {
        }
    ]
    $completions[$command]
}
