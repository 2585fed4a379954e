# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_speculators_global_optspecs
    string join \n q/quiet v/verbose color= no-progress offline config= show-config h/help V/version
end

function __fish_speculators_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_speculators_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_speculators_using_subcommand
    set -l cmd (__fish_speculators_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c speculators -n "__fish_speculators_needs_command" -l color -d 'When to use colors' -r -f -a "auto\t'Where the stream is a terminal and the environment does not object'
always\t'Everywhere'
never\t'Nowhere'"
complete -c speculators -n "__fish_speculators_needs_command" -l config -d 'Take options from a file: a YAML mapping of long names to values; what is typed wins over it' -r -F
complete -c speculators -n "__fish_speculators_needs_command" -s q -l quiet -d 'Say less; twice silences warnings too'
complete -c speculators -n "__fish_speculators_needs_command" -s v -l verbose -d 'Say more'
complete -c speculators -n "__fish_speculators_needs_command" -l no-progress -d 'Draw no progress bars'
complete -c speculators -n "__fish_speculators_needs_command" -l offline -d 'Do not ask the Hub; use what its cache holds'
complete -c speculators -n "__fish_speculators_needs_command" -l show-config -d 'Print every option\'s value and where it comes from, and run nothing'
complete -c speculators -n "__fish_speculators_needs_command" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c speculators -n "__fish_speculators_needs_command" -s V -l version -d 'Print version'
complete -c speculators -n "__fish_speculators_needs_command" -f -a "pull" -d 'Fetch a verifier or a head from the Hub'
complete -c speculators -n "__fish_speculators_needs_command" -f -a "vocab" -d 'Count tokens, and choose the draft vocabulary of a head by them'
complete -c speculators -n "__fish_speculators_needs_command" -f -a "init" -d 'Start a new head for a verifier'
complete -c speculators -n "__fish_speculators_needs_command" -f -a "convert" -d 'Rewrite a head in the layout that vLLM serves, or in another'
complete -c speculators -n "__fish_speculators_needs_command" -f -a "stitch-mtp" -d 'Put a finetuned MTP head back into its verifier'
complete -c speculators -n "__fish_speculators_needs_command" -f -a "validate" -d 'Check that a head will load and can accept tokens'
complete -c speculators -n "__fish_speculators_needs_command" -f -a "inspect" -d 'Show what is in a checkpoint'
complete -c speculators -n "__fish_speculators_needs_command" -f -a "diff" -d 'Show what differs between two checkpoints'
complete -c speculators -n "__fish_speculators_needs_command" -f -a "eval" -d 'Measure acceptance and latency of a head, offline'
complete -c speculators -n "__fish_speculators_needs_command" -f -a "probe" -d 'Find out by measurement how a head is meant to be read'
complete -c speculators -n "__fish_speculators_needs_command" -f -a "generate" -d 'Generate text with speculation, as it comes'
complete -c speculators -n "__fish_speculators_needs_command" -f -a "push" -d 'Put a checkpoint on the Hub, with a model card'
complete -c speculators -n "__fish_speculators_needs_command" -f -a "doctor" -d 'Show what this machine offers'
complete -c speculators -n "__fish_speculators_needs_command" -f -a "explain" -d 'Explain a diagnostic code'
complete -c speculators -n "__fish_speculators_needs_command" -f -a "schema" -d 'Print the JSON schema of a report'
complete -c speculators -n "__fish_speculators_needs_command" -f -a "completions" -d 'Print shell completions, or write them and the man pages'
complete -c speculators -n "__fish_speculators_needs_command" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c speculators -n "__fish_speculators_using_subcommand pull" -l revision -d 'Branch, tag or commit' -r
complete -c speculators -n "__fish_speculators_using_subcommand pull" -l include -d 'Fetch only files that match this pattern; may be given again' -r
complete -c speculators -n "__fish_speculators_using_subcommand pull" -l exclude -d 'Leave out files that match this pattern; may be given again' -r
complete -c speculators -n "__fish_speculators_using_subcommand pull" -l only -d 'Fetch only these tensors, and what else makes a small verifier of them: `embed_tokens`, `lm_head` and `norm` by their role, others by name or pattern' -r
complete -c speculators -n "__fish_speculators_using_subcommand pull" -l local-dir -d 'Put the files here instead of into the cache; with `--only`, `./NAME-partial` is the default' -r -F
complete -c speculators -n "__fish_speculators_using_subcommand pull" -l format -d 'Form of the report' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c speculators -n "__fish_speculators_using_subcommand pull" -l color -d 'When to use colors' -r -f -a "auto\t'Where the stream is a terminal and the environment does not object'
always\t'Everywhere'
never\t'Nowhere'"
complete -c speculators -n "__fish_speculators_using_subcommand pull" -l config -d 'Take options from a file: a YAML mapping of long names to values; what is typed wins over it' -r -F
complete -c speculators -n "__fish_speculators_using_subcommand pull" -l force -d 'Replace what is in the way: files in `--local-dir`, or the directory of `--only`'
complete -c speculators -n "__fish_speculators_using_subcommand pull" -l dry-run -d 'Show what would be fetched, and fetch nothing'
complete -c speculators -n "__fish_speculators_using_subcommand pull" -s q -l quiet -d 'Say less; twice silences warnings too'
complete -c speculators -n "__fish_speculators_using_subcommand pull" -s v -l verbose -d 'Say more'
complete -c speculators -n "__fish_speculators_using_subcommand pull" -l no-progress -d 'Draw no progress bars'
complete -c speculators -n "__fish_speculators_using_subcommand pull" -l offline -d 'Do not ask the Hub; use what its cache holds'
complete -c speculators -n "__fish_speculators_using_subcommand pull" -l show-config -d 'Print every option\'s value and where it comes from, and run nothing'
complete -c speculators -n "__fish_speculators_using_subcommand pull" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c speculators -n "__fish_speculators_using_subcommand vocab" -l verifier -d 'Directory of the verifier: config, tokenizer, chat template; its weights are not read' -r -F
complete -c speculators -n "__fish_speculators_using_subcommand vocab" -l token-freq -d 'Counts that are there already, instead of data: `.npy`, `.safetensors`, `.json`, or `token_freq.pt` of the Python package' -r -F
complete -c speculators -n "__fish_speculators_using_subcommand vocab" -l merge -d 'Counts to be added, in any of the forms of `--token-freq`' -r -F
complete -c speculators -n "__fish_speculators_using_subcommand vocab" -l vocab-size -d 'Tokens of the verifier, where neither it nor the counts say' -r
complete -c speculators -n "__fish_speculators_using_subcommand vocab" -l draft-vocab-size -d 'Tokens of the draft vocabulary' -r
complete -c speculators -n "__fish_speculators_using_subcommand vocab" -l force-include -d 'Tokens to be in the map whatever their count: ids, `eos` for those that end a text, `chat` for those of the chat template, `none` [default: eos,chat]' -r
complete -c speculators -n "__fish_speculators_using_subcommand vocab" -l count -d 'Which tokens of conversations, and of ids with a loss mask, are counted' -r -f -a "assistant\t'Those of the answers, or where the loss mask is 1'
all\t'All'"
complete -c speculators -n "__fish_speculators_using_subcommand vocab" -l seq-length -d 'Look only at the first tokens of each sequence, as training does' -r
complete -c speculators -n "__fish_speculators_using_subcommand vocab" -l threads -d 'Worker threads [default: one per core]' -r
complete -c speculators -n "__fish_speculators_using_subcommand vocab" -s o -l output-path -d 'Where to write counts and map; the directory may hold other files [default: nothing is written]' -r -F
complete -c speculators -n "__fish_speculators_using_subcommand vocab" -l format -d 'Form of the report' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c speculators -n "__fish_speculators_using_subcommand vocab" -l color -d 'When to use colors' -r -f -a "auto\t'Where the stream is a terminal and the environment does not object'
always\t'Everywhere'
never\t'Nowhere'"
complete -c speculators -n "__fish_speculators_using_subcommand vocab" -l config -d 'Take options from a file: a YAML mapping of long names to values; what is typed wins over it' -r -F
complete -c speculators -n "__fish_speculators_using_subcommand vocab" -l no-force-include -d 'Include no token but for its count, as the Python package does'
complete -c speculators -n "__fish_speculators_using_subcommand vocab" -l skip-invalid -d 'Leave out lines that cannot be used, and say how many there were'
complete -c speculators -n "__fish_speculators_using_subcommand vocab" -l force -d 'Replace files of the output that exist'
complete -c speculators -n "__fish_speculators_using_subcommand vocab" -s q -l quiet -d 'Say less; twice silences warnings too'
complete -c speculators -n "__fish_speculators_using_subcommand vocab" -s v -l verbose -d 'Say more'
complete -c speculators -n "__fish_speculators_using_subcommand vocab" -l no-progress -d 'Draw no progress bars'
complete -c speculators -n "__fish_speculators_using_subcommand vocab" -l offline -d 'Do not ask the Hub; use what its cache holds'
complete -c speculators -n "__fish_speculators_using_subcommand vocab" -l show-config -d 'Print every option\'s value and where it comes from, and run nothing'
complete -c speculators -n "__fish_speculators_using_subcommand vocab" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c speculators -n "__fish_speculators_using_subcommand init" -l verifier -d 'Directory of the verifier, or its name on the Hub; its config, embedding and output matrix are enough' -r -F
complete -c speculators -n "__fish_speculators_using_subcommand init" -s o -l output-path -d 'Where to write the head' -r -F
complete -c speculators -n "__fish_speculators_using_subcommand init" -l algorithm -d 'Kind of head: `eagle3`, `peagle`, `dflash` or `dspark`' -r
complete -c speculators -n "__fish_speculators_using_subcommand init" -l verifier-name -d 'What the output calls its verifier [default: the path given]' -r
complete -c speculators -n "__fish_speculators_using_subcommand init" -l draft-vocab-size -d 'Tokens the head can propose [default: all of the verifier\'s]' -r
complete -c speculators -n "__fish_speculators_using_subcommand init" -l token-freq -d 'Counts of tokens, of which the most frequent are taken: `token_freq` of `speculators vocab` or of the Python package' -r -F
complete -c speculators -n "__fish_speculators_using_subcommand init" -l vocab -d 'Directory with a finished map: `d2t` and `t2d`' -r -F
complete -c speculators -n "__fish_speculators_using_subcommand init" -l num-layers -d 'Draft layers [default: 5 for `dflash` and `dspark`, else 1]' -r
complete -c speculators -n "__fish_speculators_using_subcommand init" -l draft-arch -d 'Kind of the draft layers [default: llama for `eagle3`, else qwen3]' -r -f -a "llama\t'Llama\'s'
qwen3\t'Qwen 3\'s: queries and keys are normalized per head'"
complete -c speculators -n "__fish_speculators_using_subcommand init" -l hidden-act -d 'Activation in the draft layers [default: silu]' -r -f -a "silu\t'x · sigmoid(x)'
gelu\t'The Gaussian error linear unit'
gelu_pytorch_tanh\t'Its approximation by tanh'
relu\t'max(x, 0)'"
complete -c speculators -n "__fish_speculators_using_subcommand init" -l sliding-window -d 'Width of the attention window of the draft layers [default: 2048]' -r
complete -c speculators -n "__fish_speculators_using_subcommand init" -l full-attention-layers -d 'Draft layers, counted from 0, that see everything instead of a window' -r
complete -c speculators -n "__fish_speculators_using_subcommand init" -l aux-layers -d 'Verifier layers the head reads, each counted as "after this many layers have run" [default: 2, n/2, n-3]' -r
complete -c speculators -n "__fish_speculators_using_subcommand init" -l norm-before-residual -d 'The first layer\'s residual is the normalized `fc` output; eagle3, peagle [default: true]' -r -f -a "true\t''
false\t''"
complete -c speculators -n "__fish_speculators_using_subcommand init" -l norm-before-fc -d 'One norm over the concatenated layers before `fc`; eagle3, peagle [default: true for eagle3]' -r -f -a "true\t''
false\t''"
complete -c speculators -n "__fish_speculators_using_subcommand init" -l fc-norm -d 'One norm per layer before `fc`; eagle3, peagle [default: false]' -r -f -a "true\t''
false\t''"
complete -c speculators -n "__fish_speculators_using_subcommand init" -l norm-output -d 'The normalized output is fed to the next draft step; eagle3, peagle [default: true for eagle3]' -r -f -a "true\t''
false\t''"
complete -c speculators -n "__fish_speculators_using_subcommand init" -l mask-token-id -d 'Token that stands for one not drafted yet; all but eagle3 [default: the tokenizer\'s, or the first unused row]' -r
complete -c speculators -n "__fish_speculators_using_subcommand init" -l num-speculative-tokens -d 'Draft tokens per step the head asks for [default: 3, peagle 8, else what a block holds]' -r
complete -c speculators -n "__fish_speculators_using_subcommand init" -l block-size -d 'Positions of a block; dflash, dspark [default: 16, dspark 8]' -r
complete -c speculators -n "__fish_speculators_using_subcommand init" -l sample-from-anchor -d 'The first position of a block predicts a token, too; dflash, dspark [default: true for dspark]' -r -f -a "true\t''
false\t''"
complete -c speculators -n "__fish_speculators_using_subcommand init" -l sliding-window-non-causal -d 'Layers with a window see all of the block; dflash, dspark [default: false]' -r -f -a "true\t''
false\t''"
complete -c speculators -n "__fish_speculators_using_subcommand init" -l markov-rank -d 'Rank of the bias from the previous token, 0 for none; dspark [default: 256]' -r
complete -c speculators -n "__fish_speculators_using_subcommand init" -l markov-head-type -d 'How that bias depends on the state; dspark [default: vanilla]' -r -f -a "vanilla\t'From the previous token alone'
gated\t'Gated by the state'
rnn\t'Through a recurrent state over the block'"
complete -c speculators -n "__fish_speculators_using_subcommand init" -l enable-confidence-head -d 'A head that foretells acceptance; dspark [default: true]' -r -f -a "true\t''
false\t''"
complete -c speculators -n "__fish_speculators_using_subcommand init" -l confidence-head-with-markov -d 'It reads the embedding of the previous token, too; dspark [default: true]' -r -f -a "true\t''
false\t''"
complete -c speculators -n "__fish_speculators_using_subcommand init" -l dtype -d 'Dtype of the weights [default: bfloat16]' -r -f -a "float32\t'32 bits'
float16\t'IEEE half precision'
bfloat16\t'The upper half of float32'"
complete -c speculators -n "__fish_speculators_using_subcommand init" -l seed -d 'Seed of everything random' -r
complete -c speculators -n "__fish_speculators_using_subcommand init" -l format -d 'Form of the report' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c speculators -n "__fish_speculators_using_subcommand init" -l color -d 'When to use colors' -r -f -a "auto\t'Where the stream is a terminal and the environment does not object'
always\t'Everywhere'
never\t'Nowhere'"
complete -c speculators -n "__fish_speculators_using_subcommand init" -l config -d 'Take options from a file: a YAML mapping of long names to values; what is typed wins over it' -r -F
complete -c speculators -n "__fish_speculators_using_subcommand init" -l dry-run -d 'Show the config and the tensors and write nothing'
complete -c speculators -n "__fish_speculators_using_subcommand init" -l force -d 'Replace the output if it exists'
complete -c speculators -n "__fish_speculators_using_subcommand init" -s q -l quiet -d 'Say less; twice silences warnings too'
complete -c speculators -n "__fish_speculators_using_subcommand init" -s v -l verbose -d 'Say more'
complete -c speculators -n "__fish_speculators_using_subcommand init" -l no-progress -d 'Draw no progress bars'
complete -c speculators -n "__fish_speculators_using_subcommand init" -l offline -d 'Do not ask the Hub; use what its cache holds'
complete -c speculators -n "__fish_speculators_using_subcommand init" -l show-config -d 'Print every option\'s value and where it comes from, and run nothing'
complete -c speculators -n "__fish_speculators_using_subcommand init" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c speculators -n "__fish_speculators_using_subcommand convert" -l verifier -d 'Directory of the verifier; its config is read, for `--embed verifier` its weights and for `--to gguf` its tokenizer' -r -F
complete -c speculators -n "__fish_speculators_using_subcommand convert" -l to -d 'Layout to write' -r -f -a "speculators\t'That of the Python package, which vLLM serves'
eagle\t'That of the original EAGLE release'
specforge\t'SpecForge\'s'
sglang\t'SGLang\'s'
gguf\t'One file for llama.cpp, with the verifier\'s tokenizer'"
complete -c speculators -n "__fish_speculators_using_subcommand convert" -l algorithm -d 'Kind of head; recognized from the tensors where it is left out' -r
complete -c speculators -n "__fish_speculators_using_subcommand convert" -s o -l output-path -d 'Where to write the converted checkpoint' -r -F
complete -c speculators -n "__fish_speculators_using_subcommand convert" -l algorithm-kwargs -d 'Options as a JSON object, in the spelling of the Python package' -r
complete -c speculators -n "__fish_speculators_using_subcommand convert" -l validate-device -d 'Accepted for scripts that pass it; the output is always validated, on the CPU' -r
complete -c speculators -n "__fish_speculators_using_subcommand convert" -l verifier-name -d 'What the output calls its verifier [default: the path given]' -r
complete -c speculators -n "__fish_speculators_using_subcommand convert" -l num-speculative-tokens -d 'Draft tokens per step that the output asks for [default: as in the source, else 3 or a whole block]' -r
complete -c speculators -n "__fish_speculators_using_subcommand convert" -l dtype -d 'Dtype of the weights in the output [default: as in the source]' -r -f -a "float32\t'32 bits'
float16\t'IEEE half precision'
bfloat16\t'The upper half of float32'"
complete -c speculators -n "__fish_speculators_using_subcommand convert" -l embed -d 'The embedding: the head\'s own if it has one, the verifier\'s, or none' -r -f -a "own\t'The head\'s, where it has one'
verifier\t'The verifier\'s, from its weights'
drop\t'None; the runtime takes the verifier\'s'"
complete -c speculators -n "__fish_speculators_using_subcommand convert" -l lm-head -d 'An output matrix with a row for each verifier token: kept, or cut to the draft\'s tokens' -r -f -a "keep\t'Written as they are'
slice-to-draft\t'Those of the vocabulary map'"
complete -c speculators -n "__fish_speculators_using_subcommand convert" -l fc-bias -d 'A bias after `fc` that the target has no place for: may go if it is zero, or is an error' -r -f -a "zero-ok\t'Left out where it is zero throughout'
error\t'Refused'"
complete -c speculators -n "__fish_speculators_using_subcommand convert" -l aux-layers -d 'Verifier layers the head reads, each counted as "after this many layers have run" unless `--aux-convention` says otherwise' -r
complete -c speculators -n "__fish_speculators_using_subcommand convert" -l aux-convention -d 'What layer ids count: those of `--aux-layers` where it is given, else the source\'s own' -r -f -a "input\t'The layer whose input is read: id k is the state after k layers'
output\t'The layer whose output is read: id k is the state after k + 1 layers'"
complete -c speculators -n "__fish_speculators_using_subcommand convert" -l norm-before-residual -d 'The first layer\'s residual is the normalized `fc` output' -r -f -a "true\t''
false\t''"
complete -c speculators -n "__fish_speculators_using_subcommand convert" -l norm-before-fc -d 'One norm over the concatenated layers before `fc`' -r -f -a "true\t''
false\t''"
complete -c speculators -n "__fish_speculators_using_subcommand convert" -l fc-norm -d 'One norm per layer before `fc`' -r -f -a "true\t''
false\t''"
complete -c speculators -n "__fish_speculators_using_subcommand convert" -l norm-output -d 'What the final norm is for: `feedback` (or true) if its output is fed to the next draft step, `head` (or false) if it only comes before `lm_head`' -r
complete -c speculators -n "__fish_speculators_using_subcommand convert" -l rope -d 'Rotary embedding: `config` as stated, `verifier` as the verifier\'s, `plain` for theta 10000 without scaling, or `theta=X`' -r
complete -c speculators -n "__fish_speculators_using_subcommand convert" -l rope-theta -d 'Base of the rotary frequencies; short for `--rope theta=X`' -r
complete -c speculators -n "__fish_speculators_using_subcommand convert" -l mask-token-id -d 'Token that stands for one not drafted yet, in parallel and block drafters' -r
complete -c speculators -n "__fish_speculators_using_subcommand convert" -l head-dim -d 'Channels per attention head' -r
complete -c speculators -n "__fish_speculators_using_subcommand convert" -l dflash-anchor -d 'What the first position of a block holds: a token that is known, or the first that is predicted' -r -f -a "known\t'A token that is known already'
predicted\t'The first token that is predicted'"
complete -c speculators -n "__fish_speculators_using_subcommand convert" -l d2t -d 'What the entries of `d2t` are, where its numbers are not to decide it' -r -f -a "offsets\t'What is added to a draft token to get its verifier token'
absolute\t'The verifier token itself'"
complete -c speculators -n "__fish_speculators_using_subcommand convert" -l format -d 'Form of the report' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c speculators -n "__fish_speculators_using_subcommand convert" -l color -d 'When to use colors' -r -f -a "auto\t'Where the stream is a terminal and the environment does not object'
always\t'Everywhere'
never\t'Nowhere'"
complete -c speculators -n "__fish_speculators_using_subcommand convert" -l config -d 'Take options from a file: a YAML mapping of long names to values; what is typed wins over it' -r -F
complete -c speculators -n "__fish_speculators_using_subcommand convert" -l strict -d 'Refuse wherever something would have to be guessed'
complete -c speculators -n "__fish_speculators_using_subcommand convert" -l dry-run -d 'Show the plan and write nothing'
complete -c speculators -n "__fish_speculators_using_subcommand convert" -l force -d 'Replace the output if it exists'
complete -c speculators -n "__fish_speculators_using_subcommand convert" -s q -l quiet -d 'Say less; twice silences warnings too'
complete -c speculators -n "__fish_speculators_using_subcommand convert" -s v -l verbose -d 'Say more'
complete -c speculators -n "__fish_speculators_using_subcommand convert" -l no-progress -d 'Draw no progress bars'
complete -c speculators -n "__fish_speculators_using_subcommand convert" -l offline -d 'Do not ask the Hub; use what its cache holds'
complete -c speculators -n "__fish_speculators_using_subcommand convert" -l show-config -d 'Print every option\'s value and where it comes from, and run nothing'
complete -c speculators -n "__fish_speculators_using_subcommand convert" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c speculators -n "__fish_speculators_using_subcommand stitch-mtp" -s o -l output-path -d 'Where to write the verifier [default: its name and `-stitched`, here]' -r -F
complete -c speculators -n "__fish_speculators_using_subcommand stitch-mtp" -l format -d 'Form of the report' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c speculators -n "__fish_speculators_using_subcommand stitch-mtp" -l color -d 'When to use colors' -r -f -a "auto\t'Where the stream is a terminal and the environment does not object'
always\t'Everywhere'
never\t'Nowhere'"
complete -c speculators -n "__fish_speculators_using_subcommand stitch-mtp" -l config -d 'Take options from a file: a YAML mapping of long names to values; what is typed wins over it' -r -F
complete -c speculators -n "__fish_speculators_using_subcommand stitch-mtp" -l dry-run -d 'Show the plan and write nothing'
complete -c speculators -n "__fish_speculators_using_subcommand stitch-mtp" -l force -d 'Replace the output if it exists'
complete -c speculators -n "__fish_speculators_using_subcommand stitch-mtp" -s q -l quiet -d 'Say less; twice silences warnings too'
complete -c speculators -n "__fish_speculators_using_subcommand stitch-mtp" -s v -l verbose -d 'Say more'
complete -c speculators -n "__fish_speculators_using_subcommand stitch-mtp" -l no-progress -d 'Draw no progress bars'
complete -c speculators -n "__fish_speculators_using_subcommand stitch-mtp" -l offline -d 'Do not ask the Hub; use what its cache holds'
complete -c speculators -n "__fish_speculators_using_subcommand stitch-mtp" -l show-config -d 'Print every option\'s value and where it comes from, and run nothing'
complete -c speculators -n "__fish_speculators_using_subcommand stitch-mtp" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c speculators -n "__fish_speculators_using_subcommand validate" -l verifier -d 'Directory of the verifier it is to run with' -r -F
complete -c speculators -n "__fish_speculators_using_subcommand validate" -l for -d 'Say whether this runtime will load it, what it assumes, and how to serve it' -r -f -a "vllm\t'vLLM 0.32'
sglang\t'SGLang 0.5.23'
llama.cpp\t'llama.cpp 0.5.0'"
complete -c speculators -n "__fish_speculators_using_subcommand validate" -l deny -d 'Findings that make the checkpoint not valid, besides errors: `warnings`, or codes' -r
complete -c speculators -n "__fish_speculators_using_subcommand validate" -l allow -d 'Findings to leave out, by code; they are counted' -r
complete -c speculators -n "__fish_speculators_using_subcommand validate" -l format -d 'Form of the report' -r -f -a "text\t'For people'
json\t'For programs'
sarif\t'SARIF 2.1.0, for code scanning'
junit\t'`JUnit` XML, for test reports'
github\t'Workflow commands, for annotations in GitHub Actions'"
complete -c speculators -n "__fish_speculators_using_subcommand validate" -l output -d 'Write the report to a file, and one line per checkpoint to stderr' -r -F
complete -c speculators -n "__fish_speculators_using_subcommand validate" -l color -d 'When to use colors' -r -f -a "auto\t'Where the stream is a terminal and the environment does not object'
always\t'Everywhere'
never\t'Nowhere'"
complete -c speculators -n "__fish_speculators_using_subcommand validate" -l config -d 'Take options from a file: a YAML mapping of long names to values; what is typed wins over it' -r -F
complete -c speculators -n "__fish_speculators_using_subcommand validate" -l no-scan -d 'Do not look at the values of the weights'
complete -c speculators -n "__fish_speculators_using_subcommand validate" -l force -d 'Replace the file if it exists'
complete -c speculators -n "__fish_speculators_using_subcommand validate" -s q -l quiet -d 'Say less; twice silences warnings too'
complete -c speculators -n "__fish_speculators_using_subcommand validate" -s v -l verbose -d 'Say more'
complete -c speculators -n "__fish_speculators_using_subcommand validate" -l no-progress -d 'Draw no progress bars'
complete -c speculators -n "__fish_speculators_using_subcommand validate" -l offline -d 'Do not ask the Hub; use what its cache holds'
complete -c speculators -n "__fish_speculators_using_subcommand validate" -l show-config -d 'Print every option\'s value and where it comes from, and run nothing'
complete -c speculators -n "__fish_speculators_using_subcommand validate" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c speculators -n "__fish_speculators_using_subcommand inspect" -l verifier -d 'Directory of the verifier of a head; settles what the head leaves to it' -r -F
complete -c speculators -n "__fish_speculators_using_subcommand inspect" -l format -d 'Form of the report' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c speculators -n "__fish_speculators_using_subcommand inspect" -l color -d 'When to use colors' -r -f -a "auto\t'Where the stream is a terminal and the environment does not object'
always\t'Everywhere'
never\t'Nowhere'"
complete -c speculators -n "__fish_speculators_using_subcommand inspect" -l config -d 'Take options from a file: a YAML mapping of long names to values; what is typed wins over it' -r -F
complete -c speculators -n "__fish_speculators_using_subcommand inspect" -l tensors -d 'List the tensors'
complete -c speculators -n "__fish_speculators_using_subcommand inspect" -l sha256 -d 'Sum up the weight files, as the Hub does'
complete -c speculators -n "__fish_speculators_using_subcommand inspect" -s q -l quiet -d 'Say less; twice silences warnings too'
complete -c speculators -n "__fish_speculators_using_subcommand inspect" -s v -l verbose -d 'Say more'
complete -c speculators -n "__fish_speculators_using_subcommand inspect" -l no-progress -d 'Draw no progress bars'
complete -c speculators -n "__fish_speculators_using_subcommand inspect" -l offline -d 'Do not ask the Hub; use what its cache holds'
complete -c speculators -n "__fish_speculators_using_subcommand inspect" -l show-config -d 'Print every option\'s value and where it comes from, and run nothing'
complete -c speculators -n "__fish_speculators_using_subcommand inspect" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c speculators -n "__fish_speculators_using_subcommand diff" -l verifier -d 'Directory of the verifier of both; settles what a head leaves to it, and knows its own tensors in a head' -r -F
complete -c speculators -n "__fish_speculators_using_subcommand diff" -l tolerance -d 'Take tensors for equal whose difference has at most this share of their norm, in whatever dtype [default: only equal bytes]' -r
complete -c speculators -n "__fish_speculators_using_subcommand diff" -l format -d 'Form of the report' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c speculators -n "__fish_speculators_using_subcommand diff" -l color -d 'When to use colors' -r -f -a "auto\t'Where the stream is a terminal and the environment does not object'
always\t'Everywhere'
never\t'Nowhere'"
complete -c speculators -n "__fish_speculators_using_subcommand diff" -l config -d 'Take options from a file: a YAML mapping of long names to values; what is typed wins over it' -r -F
complete -c speculators -n "__fish_speculators_using_subcommand diff" -l config-only -d 'Compare descriptions and configs, not the weights'
complete -c speculators -n "__fish_speculators_using_subcommand diff" -l weights-only -d 'Compare the weights, not the configs'
complete -c speculators -n "__fish_speculators_using_subcommand diff" -l tensors -d 'List all tensors and all config keys, also those that are equal'
complete -c speculators -n "__fish_speculators_using_subcommand diff" -s q -l quiet -d 'Say less; twice silences warnings too'
complete -c speculators -n "__fish_speculators_using_subcommand diff" -s v -l verbose -d 'Say more'
complete -c speculators -n "__fish_speculators_using_subcommand diff" -l no-progress -d 'Draw no progress bars'
complete -c speculators -n "__fish_speculators_using_subcommand diff" -l offline -d 'Do not ask the Hub; use what its cache holds'
complete -c speculators -n "__fish_speculators_using_subcommand diff" -l show-config -d 'Print every option\'s value and where it comes from, and run nothing'
complete -c speculators -n "__fish_speculators_using_subcommand diff" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c speculators -n "__fish_speculators_using_subcommand eval" -l verifier -d 'Directory of the verifier: config, safetensors, tokenizer' -r -F
complete -c speculators -n "__fish_speculators_using_subcommand eval" -l speculator -d 'Directory of the head, in any layout that `inspect` recognizes' -r -F
complete -c speculators -n "__fish_speculators_using_subcommand eval" -l prompts -d 'Prompts, in any form that docs/prompts.md lists; may be given several times; `builtin` is a set of 80 in eight categories' -r -F
complete -c speculators -n "__fish_speculators_using_subcommand eval" -l chat-template-kwargs -d 'Variables for the chat template, such as \'{"enable_thinking": false}\'; those of a prompt win' -r
complete -c speculators -n "__fish_speculators_using_subcommand eval" -l thinking -d 'Switch thinking, by whichever name the chat template has for it' -r -f -a "on\t'It does'
off\t'It does not'"
complete -c speculators -n "__fish_speculators_using_subcommand eval" -l num-speculative-tokens -d 'Draft tokens per step, in a chain [default: what the checkpoint asks for]' -r
complete -c speculators -n "__fish_speculators_using_subcommand eval" -l tree -d 'Draft a tree instead of a chain: `dynamic` (EAGLE-2), `calibrated`, or a file with a list of paths of child ranks' -r
complete -c speculators -n "__fish_speculators_using_subcommand eval" -l tree-top-k -d 'Nodes expanded per level of a dynamic tree, and children of each [default: 10, as EAGLE-3 was published]' -r
complete -c speculators -n "__fish_speculators_using_subcommand eval" -l tree-depth -d 'Levels of a dynamic tree [default: 8]' -r
complete -c speculators -n "__fish_speculators_using_subcommand eval" -l tree-budget -d 'Draft tokens of a dynamic tree that are verified, its root not counted [default: 59]' -r
complete -c speculators -n "__fish_speculators_using_subcommand eval" -l calibration -d 'Rank the nodes of a dynamic tree by how often tokens like them are right, as `--write-calibration` wrote it' -r -F
complete -c speculators -n "__fish_speculators_using_subcommand eval" -l temperature -d 'Sample at this temperature; 0 takes the most likely token' -r
complete -c speculators -n "__fish_speculators_using_subcommand eval" -l top-k -d 'Sample among the most likely tokens only; 0 is all' -r
complete -c speculators -n "__fish_speculators_using_subcommand eval" -l top-p -d 'Sample among the most likely tokens whose probabilities add up to this' -r
complete -c speculators -n "__fish_speculators_using_subcommand eval" -l min-p -d 'Sample among tokens at least this probable relative to the most likely one' -r
complete -c speculators -n "__fish_speculators_using_subcommand eval" -l repetition-penalty -d 'Divide the logits of tokens in prompt or output by this where they are positive, and multiply the others' -r
complete -c speculators -n "__fish_speculators_using_subcommand eval" -l frequency-penalty -d 'Take this off the logit of a token for each time it is in the output' -r
complete -c speculators -n "__fish_speculators_using_subcommand eval" -l presence-penalty -d 'Take this off the logit of a token that is in the output' -r
complete -c speculators -n "__fish_speculators_using_subcommand eval" -l stop -d 'End an output at this text; may be given several times' -r
complete -c speculators -n "__fish_speculators_using_subcommand eval" -l verification -d 'Which draft tokens are kept, where tokens are sampled [default: match]' -r -f -a "match\t'Those that the verifier draws as well, by noise of the position: the tokens of plain decoding, one for one'
rejection\t'The head draws too, and its tokens are accepted by how probable both find them (Leviathan, Chen)'
block\t'The same over a whole chain at once, which keeps more (Sun et al.)'"
complete -c speculators -n "__fish_speculators_using_subcommand eval" -l lossy -d 'Keep more draft tokens than the verifier\'s distribution allows: the output is no longer the verifier\'s' -r
complete -c speculators -n "__fish_speculators_using_subcommand eval" -l seed -d 'Choose the noise of sampling, and the order of `--shuffle` [default: 0]' -r
complete -c speculators -n "__fish_speculators_using_subcommand eval" -l max-new-tokens -d 'Output limit per request, in tokens [default: 256; 64 in the demonstration]' -r
complete -c speculators -n "__fish_speculators_using_subcommand eval" -l limit -d 'Take only the first prompts; with `--shuffle`, so many at random' -r
complete -c speculators -n "__fish_speculators_using_subcommand eval" -l threads -d 'Worker threads [default: one per core]' -r
complete -c speculators -n "__fish_speculators_using_subcommand eval" -l format -d 'Form of the report' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c speculators -n "__fish_speculators_using_subcommand eval" -l outputs -d 'Write ids, text and accepted tokens per step of each request' -r -F
complete -c speculators -n "__fish_speculators_using_subcommand eval" -l compare -d 'Compare with another engine\'s outputs; or, with two files, compare two finished runs and run nothing' -r -F
complete -c speculators -n "__fish_speculators_using_subcommand eval" -l concurrency -d 'Decode this many prompts at the same time' -r
complete -c speculators -n "__fish_speculators_using_subcommand eval" -l records -d 'Write one line per verification step while it runs; a crash loses no more than the line being written' -r -F
complete -c speculators -n "__fish_speculators_using_subcommand eval" -l from-records -d 'Run nothing: report on what `--records` wrote; with `--records` as well, write it in the other form' -r -F
complete -c speculators -n "__fish_speculators_using_subcommand eval" -l metrics -d 'Which metrics the text report lists; the JSON report has all' -r -f -a "all\t'Every one, with all that the field calls acceptance length'
short\t'The few that are looked at first'"
complete -c speculators -n "__fish_speculators_using_subcommand eval" -l fail-under -d 'End with 1 if a metric is less than this; may be given several times' -r
complete -c speculators -n "__fish_speculators_using_subcommand eval" -l against -d 'Show differences from an earlier run\'s records, paired by request, with intervals' -r -F
complete -c speculators -n "__fish_speculators_using_subcommand eval" -l survey-every -d 'Look at every N-th position only: faster, but then mean lengths are estimates' -r
complete -c speculators -n "__fish_speculators_using_subcommand eval" -l cost-ratio -d 'Also say what would be best where a pass of the head takes this part of the verifier\'s, at any width' -r
complete -c speculators -n "__fish_speculators_using_subcommand eval" -l write-tree -d 'Write the best static tree, for `--tree`' -r -F
complete -c speculators -n "__fish_speculators_using_subcommand eval" -l write-calibration -d 'Write how often the head is right, for `--calibration`' -r -F
complete -c speculators -n "__fish_speculators_using_subcommand eval" -l report -d 'Write the report as a page: `.html` with charts, or `.md` for a model card; may be given several times' -r -F
complete -c speculators -n "__fish_speculators_using_subcommand eval" -l color -d 'When to use colors' -r -f -a "auto\t'Where the stream is a terminal and the environment does not object'
always\t'Everywhere'
never\t'Nowhere'"
complete -c speculators -n "__fish_speculators_using_subcommand eval" -l config -d 'Take options from a file: a YAML mapping of long names to values; what is typed wins over it' -r -F
complete -c speculators -n "__fish_speculators_using_subcommand eval" -l demo -d 'Evaluate the head that comes with this program; nothing else is needed'
complete -c speculators -n "__fish_speculators_using_subcommand eval" -l as-chat -d 'Put plain text through the chat template, as the question of a user, instead of continuing it as it stands'
complete -c speculators -n "__fish_speculators_using_subcommand eval" -l force -d 'Replace files that are to be written if they exist'
complete -c speculators -n "__fish_speculators_using_subcommand eval" -l resume -d 'Go on with the run whose records `--records` names: keep what is complete there and run the rest'
complete -c speculators -n "__fish_speculators_using_subcommand eval" -l shuffle -d 'Take prompts in an order drawn by `--seed`; with `--limit`, a random choice of them'
complete -c speculators -n "__fish_speculators_using_subcommand eval" -l best -d 'Find the setting that would be fastest: chains, static, dynamic and calibrated trees of every size'
complete -c speculators -n "__fish_speculators_using_subcommand eval" -s q -l quiet -d 'Say less; twice silences warnings too'
complete -c speculators -n "__fish_speculators_using_subcommand eval" -s v -l verbose -d 'Say more'
complete -c speculators -n "__fish_speculators_using_subcommand eval" -l no-progress -d 'Draw no progress bars'
complete -c speculators -n "__fish_speculators_using_subcommand eval" -l offline -d 'Do not ask the Hub; use what its cache holds'
complete -c speculators -n "__fish_speculators_using_subcommand eval" -l show-config -d 'Print every option\'s value and where it comes from, and run nothing'
complete -c speculators -n "__fish_speculators_using_subcommand eval" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c speculators -n "__fish_speculators_using_subcommand probe" -l verifier -d 'Directory of the verifier: config, safetensors, tokenizer' -r -F
complete -c speculators -n "__fish_speculators_using_subcommand probe" -l speculator -d 'Directory of the head, in any layout that `inspect` recognizes' -r -F
complete -c speculators -n "__fish_speculators_using_subcommand probe" -l prompts -d 'What the verifier is to answer, in any form that `eval` reads [default: the built-in set]' -r -F
complete -c speculators -n "__fish_speculators_using_subcommand probe" -l tokens -d 'Tokens that the verifier writes and the head is measured on' -r
complete -c speculators -n "__fish_speculators_using_subcommand probe" -l threads -d 'Worker threads [default: one per core]' -r
complete -c speculators -n "__fish_speculators_using_subcommand probe" -l format -d 'Form of the report' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c speculators -n "__fish_speculators_using_subcommand probe" -l color -d 'When to use colors' -r -f -a "auto\t'Where the stream is a terminal and the environment does not object'
always\t'Everywhere'
never\t'Nowhere'"
complete -c speculators -n "__fish_speculators_using_subcommand probe" -l config -d 'Take options from a file: a YAML mapping of long names to values; what is typed wins over it' -r -F
complete -c speculators -n "__fish_speculators_using_subcommand probe" -l write -d 'Write what was picked into the head\'s config, with a record of the measurement'
complete -c speculators -n "__fish_speculators_using_subcommand probe" -s q -l quiet -d 'Say less; twice silences warnings too'
complete -c speculators -n "__fish_speculators_using_subcommand probe" -s v -l verbose -d 'Say more'
complete -c speculators -n "__fish_speculators_using_subcommand probe" -l no-progress -d 'Draw no progress bars'
complete -c speculators -n "__fish_speculators_using_subcommand probe" -l offline -d 'Do not ask the Hub; use what its cache holds'
complete -c speculators -n "__fish_speculators_using_subcommand probe" -l show-config -d 'Print every option\'s value and where it comes from, and run nothing'
complete -c speculators -n "__fish_speculators_using_subcommand probe" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c speculators -n "__fish_speculators_using_subcommand generate" -l verifier -d 'Directory of the verifier: config, safetensors, tokenizer' -r -F
complete -c speculators -n "__fish_speculators_using_subcommand generate" -l speculator -d 'Directory of the head, in any layout that `inspect` recognizes' -r -F
complete -c speculators -n "__fish_speculators_using_subcommand generate" -l prompt -d 'The prompt; `-` reads it from stdin' -r
complete -c speculators -n "__fish_speculators_using_subcommand generate" -l system -d 'What the conversation begins with, in the system\'s name' -r
complete -c speculators -n "__fish_speculators_using_subcommand generate" -l show-accepted -d 'Tell accepted draft tokens from the verifier\'s own' -r -f -a "color\t'Green for accepted draft tokens, bold blue for the verifier\'s own'
brackets\t'Brackets around accepted draft tokens'"
complete -c speculators -n "__fish_speculators_using_subcommand generate" -l num-speculative-tokens -d 'Draft tokens per step, in a chain [default: what the checkpoint asks for]' -r
complete -c speculators -n "__fish_speculators_using_subcommand generate" -l tree -d 'Draft a tree instead of a chain: `dynamic` (EAGLE-2), `calibrated`, or a file with a list of paths of child ranks' -r
complete -c speculators -n "__fish_speculators_using_subcommand generate" -l tree-top-k -d 'Nodes expanded per level of a dynamic tree, and children of each [default: 10, as EAGLE-3 was published]' -r
complete -c speculators -n "__fish_speculators_using_subcommand generate" -l tree-depth -d 'Levels of a dynamic tree [default: 8]' -r
complete -c speculators -n "__fish_speculators_using_subcommand generate" -l tree-budget -d 'Draft tokens of a dynamic tree that are verified, its root not counted [default: 59]' -r
complete -c speculators -n "__fish_speculators_using_subcommand generate" -l calibration -d 'Rank the nodes of a dynamic tree by how often tokens like them are right, as `--write-calibration` wrote it' -r -F
complete -c speculators -n "__fish_speculators_using_subcommand generate" -l temperature -d 'Sample at this temperature; 0 takes the most likely token' -r
complete -c speculators -n "__fish_speculators_using_subcommand generate" -l top-k -d 'Sample among the most likely tokens only; 0 is all' -r
complete -c speculators -n "__fish_speculators_using_subcommand generate" -l top-p -d 'Sample among the most likely tokens whose probabilities add up to this' -r
complete -c speculators -n "__fish_speculators_using_subcommand generate" -l min-p -d 'Sample among tokens at least this probable relative to the most likely one' -r
complete -c speculators -n "__fish_speculators_using_subcommand generate" -l repetition-penalty -d 'Divide the logits of tokens in prompt or output by this where they are positive, and multiply the others' -r
complete -c speculators -n "__fish_speculators_using_subcommand generate" -l frequency-penalty -d 'Take this off the logit of a token for each time it is in the output' -r
complete -c speculators -n "__fish_speculators_using_subcommand generate" -l presence-penalty -d 'Take this off the logit of a token that is in the output' -r
complete -c speculators -n "__fish_speculators_using_subcommand generate" -l stop -d 'End an output at this text; may be given several times' -r
complete -c speculators -n "__fish_speculators_using_subcommand generate" -l verification -d 'Which draft tokens are kept, where tokens are sampled [default: match]' -r -f -a "match\t'Those that the verifier draws as well, by noise of the position: the tokens of plain decoding, one for one'
rejection\t'The head draws too, and its tokens are accepted by how probable both find them (Leviathan, Chen)'
block\t'The same over a whole chain at once, which keeps more (Sun et al.)'"
complete -c speculators -n "__fish_speculators_using_subcommand generate" -l lossy -d 'Keep more draft tokens than the verifier\'s distribution allows: the output is no longer the verifier\'s' -r
complete -c speculators -n "__fish_speculators_using_subcommand generate" -l seed -d 'Choose the noise of sampling, and the order of `--shuffle` [default: 0]' -r
complete -c speculators -n "__fish_speculators_using_subcommand generate" -l max-new-tokens -d 'Output limit, in tokens [default: 256; 64 in the demonstration]' -r
complete -c speculators -n "__fish_speculators_using_subcommand generate" -l threads -d 'Worker threads [default: one per core]' -r
complete -c speculators -n "__fish_speculators_using_subcommand generate" -l format -d 'The text as it comes, or one report at the end' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c speculators -n "__fish_speculators_using_subcommand generate" -l color -d 'When to use colors' -r -f -a "auto\t'Where the stream is a terminal and the environment does not object'
always\t'Everywhere'
never\t'Nowhere'"
complete -c speculators -n "__fish_speculators_using_subcommand generate" -l config -d 'Take options from a file: a YAML mapping of long names to values; what is typed wins over it' -r -F
complete -c speculators -n "__fish_speculators_using_subcommand generate" -l demo -d 'Use the verifier and the head that come with this program; without a prompt, one of their own'
complete -c speculators -n "__fish_speculators_using_subcommand generate" -l chat -d 'Answer line by line what stdin says, and remember what was said'
complete -c speculators -n "__fish_speculators_using_subcommand generate" -l raw -d 'Take the prompt as it is, without the verifier\'s chat template'
complete -c speculators -n "__fish_speculators_using_subcommand generate" -l no-speculation -d 'Let the verifier write alone, to compare'
complete -c speculators -n "__fish_speculators_using_subcommand generate" -s q -l quiet -d 'Say less; twice silences warnings too'
complete -c speculators -n "__fish_speculators_using_subcommand generate" -s v -l verbose -d 'Say more'
complete -c speculators -n "__fish_speculators_using_subcommand generate" -l no-progress -d 'Draw no progress bars'
complete -c speculators -n "__fish_speculators_using_subcommand generate" -l offline -d 'Do not ask the Hub; use what its cache holds'
complete -c speculators -n "__fish_speculators_using_subcommand generate" -l show-config -d 'Print every option\'s value and where it comes from, and run nothing'
complete -c speculators -n "__fish_speculators_using_subcommand generate" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c speculators -n "__fish_speculators_using_subcommand push" -l verifier -d 'Verifier to validate it with, a directory or a repository' -r -F
complete -c speculators -n "__fish_speculators_using_subcommand push" -l eval -d 'Report of `eval --format json` for the card [default: the one that lies beside the checkpoint]' -r -F
complete -c speculators -n "__fish_speculators_using_subcommand push" -l revision -d 'Branch' -r
complete -c speculators -n "__fish_speculators_using_subcommand push" -l message -d 'What the commit says' -r
complete -c speculators -n "__fish_speculators_using_subcommand push" -l format -d 'Form of the report' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c speculators -n "__fish_speculators_using_subcommand push" -l color -d 'When to use colors' -r -f -a "auto\t'Where the stream is a terminal and the environment does not object'
always\t'Everywhere'
never\t'Nowhere'"
complete -c speculators -n "__fish_speculators_using_subcommand push" -l config -d 'Take options from a file: a YAML mapping of long names to values; what is typed wins over it' -r -F
complete -c speculators -n "__fish_speculators_using_subcommand push" -l private -d 'Make the repository a private one, if it does not exist yet'
complete -c speculators -n "__fish_speculators_using_subcommand push" -l create-pr -d 'Open a pull request instead of writing to the branch'
complete -c speculators -n "__fish_speculators_using_subcommand push" -l dry-run -d 'Show the card and the files, and upload nothing'
complete -c speculators -n "__fish_speculators_using_subcommand push" -s q -l quiet -d 'Say less; twice silences warnings too'
complete -c speculators -n "__fish_speculators_using_subcommand push" -s v -l verbose -d 'Say more'
complete -c speculators -n "__fish_speculators_using_subcommand push" -l no-progress -d 'Draw no progress bars'
complete -c speculators -n "__fish_speculators_using_subcommand push" -l offline -d 'Do not ask the Hub; use what its cache holds'
complete -c speculators -n "__fish_speculators_using_subcommand push" -l show-config -d 'Print every option\'s value and where it comes from, and run nothing'
complete -c speculators -n "__fish_speculators_using_subcommand push" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c speculators -n "__fish_speculators_using_subcommand doctor" -l format -d 'Form of the report' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c speculators -n "__fish_speculators_using_subcommand doctor" -l color -d 'When to use colors' -r -f -a "auto\t'Where the stream is a terminal and the environment does not object'
always\t'Everywhere'
never\t'Nowhere'"
complete -c speculators -n "__fish_speculators_using_subcommand doctor" -l config -d 'Take options from a file: a YAML mapping of long names to values; what is typed wins over it' -r -F
complete -c speculators -n "__fish_speculators_using_subcommand doctor" -l bandwidth -d 'Measure the memory\'s read bandwidth; takes a second and 1 GiB'
complete -c speculators -n "__fish_speculators_using_subcommand doctor" -s q -l quiet -d 'Say less; twice silences warnings too'
complete -c speculators -n "__fish_speculators_using_subcommand doctor" -s v -l verbose -d 'Say more'
complete -c speculators -n "__fish_speculators_using_subcommand doctor" -l no-progress -d 'Draw no progress bars'
complete -c speculators -n "__fish_speculators_using_subcommand doctor" -l offline -d 'Do not ask the Hub; use what its cache holds'
complete -c speculators -n "__fish_speculators_using_subcommand doctor" -l show-config -d 'Print every option\'s value and where it comes from, and run nothing'
complete -c speculators -n "__fish_speculators_using_subcommand doctor" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c speculators -n "__fish_speculators_using_subcommand explain" -l color -d 'When to use colors' -r -f -a "auto\t'Where the stream is a terminal and the environment does not object'
always\t'Everywhere'
never\t'Nowhere'"
complete -c speculators -n "__fish_speculators_using_subcommand explain" -l config -d 'Take options from a file: a YAML mapping of long names to values; what is typed wins over it' -r -F
complete -c speculators -n "__fish_speculators_using_subcommand explain" -s q -l quiet -d 'Say less; twice silences warnings too'
complete -c speculators -n "__fish_speculators_using_subcommand explain" -s v -l verbose -d 'Say more'
complete -c speculators -n "__fish_speculators_using_subcommand explain" -l no-progress -d 'Draw no progress bars'
complete -c speculators -n "__fish_speculators_using_subcommand explain" -l offline -d 'Do not ask the Hub; use what its cache holds'
complete -c speculators -n "__fish_speculators_using_subcommand explain" -l show-config -d 'Print every option\'s value and where it comes from, and run nothing'
complete -c speculators -n "__fish_speculators_using_subcommand explain" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c speculators -n "__fish_speculators_using_subcommand schema" -l color -d 'When to use colors' -r -f -a "auto\t'Where the stream is a terminal and the environment does not object'
always\t'Everywhere'
never\t'Nowhere'"
complete -c speculators -n "__fish_speculators_using_subcommand schema" -l config -d 'Take options from a file: a YAML mapping of long names to values; what is typed wins over it' -r -F
complete -c speculators -n "__fish_speculators_using_subcommand schema" -s q -l quiet -d 'Say less; twice silences warnings too'
complete -c speculators -n "__fish_speculators_using_subcommand schema" -s v -l verbose -d 'Say more'
complete -c speculators -n "__fish_speculators_using_subcommand schema" -l no-progress -d 'Draw no progress bars'
complete -c speculators -n "__fish_speculators_using_subcommand schema" -l offline -d 'Do not ask the Hub; use what its cache holds'
complete -c speculators -n "__fish_speculators_using_subcommand schema" -l show-config -d 'Print every option\'s value and where it comes from, and run nothing'
complete -c speculators -n "__fish_speculators_using_subcommand schema" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c speculators -n "__fish_speculators_using_subcommand completions" -l write-to -d 'Write the completions of every shell and all man pages into this directory' -r -F
complete -c speculators -n "__fish_speculators_using_subcommand completions" -l color -d 'When to use colors' -r -f -a "auto\t'Where the stream is a terminal and the environment does not object'
always\t'Everywhere'
never\t'Nowhere'"
complete -c speculators -n "__fish_speculators_using_subcommand completions" -l config -d 'Take options from a file: a YAML mapping of long names to values; what is typed wins over it' -r -F
complete -c speculators -n "__fish_speculators_using_subcommand completions" -l check -d 'Write nothing; exit with 1 where a file in that directory is stale or missing'
complete -c speculators -n "__fish_speculators_using_subcommand completions" -s q -l quiet -d 'Say less; twice silences warnings too'
complete -c speculators -n "__fish_speculators_using_subcommand completions" -s v -l verbose -d 'Say more'
complete -c speculators -n "__fish_speculators_using_subcommand completions" -l no-progress -d 'Draw no progress bars'
complete -c speculators -n "__fish_speculators_using_subcommand completions" -l offline -d 'Do not ask the Hub; use what its cache holds'
complete -c speculators -n "__fish_speculators_using_subcommand completions" -l show-config -d 'Print every option\'s value and where it comes from, and run nothing'
complete -c speculators -n "__fish_speculators_using_subcommand completions" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c speculators -n "__fish_speculators_using_subcommand help; and not __fish_seen_subcommand_from pull vocab init convert stitch-mtp validate inspect diff eval probe generate push doctor explain schema completions help" -f -a "pull" -d 'Fetch a verifier or a head from the Hub'
complete -c speculators -n "__fish_speculators_using_subcommand help; and not __fish_seen_subcommand_from pull vocab init convert stitch-mtp validate inspect diff eval probe generate push doctor explain schema completions help" -f -a "vocab" -d 'Count tokens, and choose the draft vocabulary of a head by them'
complete -c speculators -n "__fish_speculators_using_subcommand help; and not __fish_seen_subcommand_from pull vocab init convert stitch-mtp validate inspect diff eval probe generate push doctor explain schema completions help" -f -a "init" -d 'Start a new head for a verifier'
complete -c speculators -n "__fish_speculators_using_subcommand help; and not __fish_seen_subcommand_from pull vocab init convert stitch-mtp validate inspect diff eval probe generate push doctor explain schema completions help" -f -a "convert" -d 'Rewrite a head in the layout that vLLM serves, or in another'
complete -c speculators -n "__fish_speculators_using_subcommand help; and not __fish_seen_subcommand_from pull vocab init convert stitch-mtp validate inspect diff eval probe generate push doctor explain schema completions help" -f -a "stitch-mtp" -d 'Put a finetuned MTP head back into its verifier'
complete -c speculators -n "__fish_speculators_using_subcommand help; and not __fish_seen_subcommand_from pull vocab init convert stitch-mtp validate inspect diff eval probe generate push doctor explain schema completions help" -f -a "validate" -d 'Check that a head will load and can accept tokens'
complete -c speculators -n "__fish_speculators_using_subcommand help; and not __fish_seen_subcommand_from pull vocab init convert stitch-mtp validate inspect diff eval probe generate push doctor explain schema completions help" -f -a "inspect" -d 'Show what is in a checkpoint'
complete -c speculators -n "__fish_speculators_using_subcommand help; and not __fish_seen_subcommand_from pull vocab init convert stitch-mtp validate inspect diff eval probe generate push doctor explain schema completions help" -f -a "diff" -d 'Show what differs between two checkpoints'
complete -c speculators -n "__fish_speculators_using_subcommand help; and not __fish_seen_subcommand_from pull vocab init convert stitch-mtp validate inspect diff eval probe generate push doctor explain schema completions help" -f -a "eval" -d 'Measure acceptance and latency of a head, offline'
complete -c speculators -n "__fish_speculators_using_subcommand help; and not __fish_seen_subcommand_from pull vocab init convert stitch-mtp validate inspect diff eval probe generate push doctor explain schema completions help" -f -a "probe" -d 'Find out by measurement how a head is meant to be read'
complete -c speculators -n "__fish_speculators_using_subcommand help; and not __fish_seen_subcommand_from pull vocab init convert stitch-mtp validate inspect diff eval probe generate push doctor explain schema completions help" -f -a "generate" -d 'Generate text with speculation, as it comes'
complete -c speculators -n "__fish_speculators_using_subcommand help; and not __fish_seen_subcommand_from pull vocab init convert stitch-mtp validate inspect diff eval probe generate push doctor explain schema completions help" -f -a "push" -d 'Put a checkpoint on the Hub, with a model card'
complete -c speculators -n "__fish_speculators_using_subcommand help; and not __fish_seen_subcommand_from pull vocab init convert stitch-mtp validate inspect diff eval probe generate push doctor explain schema completions help" -f -a "doctor" -d 'Show what this machine offers'
complete -c speculators -n "__fish_speculators_using_subcommand help; and not __fish_seen_subcommand_from pull vocab init convert stitch-mtp validate inspect diff eval probe generate push doctor explain schema completions help" -f -a "explain" -d 'Explain a diagnostic code'
complete -c speculators -n "__fish_speculators_using_subcommand help; and not __fish_seen_subcommand_from pull vocab init convert stitch-mtp validate inspect diff eval probe generate push doctor explain schema completions help" -f -a "schema" -d 'Print the JSON schema of a report'
complete -c speculators -n "__fish_speculators_using_subcommand help; and not __fish_seen_subcommand_from pull vocab init convert stitch-mtp validate inspect diff eval probe generate push doctor explain schema completions help" -f -a "completions" -d 'Print shell completions, or write them and the man pages'
complete -c speculators -n "__fish_speculators_using_subcommand help; and not __fish_seen_subcommand_from pull vocab init convert stitch-mtp validate inspect diff eval probe generate push doctor explain schema completions help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
